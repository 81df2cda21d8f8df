SELECT prune_call_figures()
