/* What another gateway, or whoever reaches Redis, says of buckets. */
#include "gateway/policy/rate_share.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rate_rule rules[RATE_SLOTS] = {
        {1000, 5}, {INT64_C(3600000000000), RATE_BURST_MAX}, {0, 0}, {1, 1}, {1000000, 100}};
    struct entropy entropy;

    entropy_init_seeded(&entropy, 1);
    struct rate_table *table = rate_table_new(64, &entropy);
    const struct rate_shared shared[RATE_SHARED_TABLES] = {{table, rules}, {table, rules}};
    rate_share_apply(shared, (struct str){(const char *)data, size}, INT64_C(1) << 50);
    rate_table_free(table);
    return 0;
}
