"""What the whole way must have come to, whichever client went it: read over REST, after the client has said what it saw."""


def check(api, said):
    """said: the example's last line."""
    assert (said["total_calls"], said["completed_calls"], said["outcomes"]) == (2, 2, {"success": 2})
    assert said["avg_eou_latency"] == 512
    watched = said["watched"]
    assert watched[0] == "init" and watched[-1] == "status" and "turn" in watched and watched.count("init") == 1


def campaign_of(api, company_prefix):
    """The newest campaign of the newest company of that name: every task ended well, the campaign too."""
    companies = [c for c in everything(api, "/api/companies") if c["name"].startswith(company_prefix)]
    newest = max(companies, key=lambda c: c["created_at"])
    [campaign] = api.ok("GET", "/api/campaigns", params={"company_id": newest["id"]})["items"]
    return campaign


def everything(api, path):
    items, token = [], None
    while True:
        page = api.ok("GET", path, params={"limit": 1000, **({"page_token": token} if token else {})})
        items += page["items"]
        token = page["next_page_token"]
        if not token:
            return items
