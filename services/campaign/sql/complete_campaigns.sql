SELECT complete_campaigns()
