"""What the four processes of an idle platform keep resident (PostgreSQL not counted)."""

import time

from measure import PROCESSES, Api, finish, heading, info, memory, platform, verdict

LIMIT_MB = 100


def line(name, rss, pss):
    info(f"{name}: RSS {rss / 1024:.1f} MB, PSS {pss / 1024:.1f} MB")


def main():
    heading("memory: the idle platform")
    with platform() as (owned, api):
        company = api.company()  # every process has done its first work
        skillbase = api.skillbase(company)
        campaign = api.campaign(company, skillbase)
        api.upload(campaign, "phone_number,name\n+491701234567,Anna\n")
        api.ok("GET", "/api/analytics/metrics")
        api.client.close()
        time.sleep(5)
        total_rss = total_pss = 0
        for name in PROCESSES:
            rss, pss = memory(owned.pid(f"dialplane-{name}"))
            line(name, rss, pss)
            total_rss += rss
            total_pss += pss
        # RSS counts the libraries that the three services share three times: it is the stricter figure.
        verdict("resident in all, PSS", total_pss / 1024, " MB", LIMIT_MB)
        verdict("resident in all, RSS", total_rss / 1024, " MB", LIMIT_MB)
    finish()


main()
