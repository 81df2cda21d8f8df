/* An example of the C client: prints the companies, then watches a call if one is named.
 *     dialplane-example SKILLBASE-ADDRESS [ANALYTICS-ADDRESS CALL-ID] */
#include "dialplane.h"

#include <stdio.h>

static int print_companies(struct dialplane_client *client)
{
    Dialplane__V1__ListCompaniesRequest request = DIALPLANE__V1__LIST_COMPANIES_REQUEST__INIT;
    Dialplane__V1__ListCompaniesResponse *response;
    struct dialplane_error error;
    if (!dialplane_list_companies(client, &request, 5000, &response, &error)) {
        fprintf(stderr, "%s: %s\n", dialplane_code_name(error.code), error.message);
        return 1;
    }
    printf("%lld companies\n", (long long)response->total);
    for (size_t i = 0; i < response->n_items; i++)
        printf("%s  %s\n", response->items[i]->id, response->items[i]->name);
    dialplane_free(response);
    return 0;
}

static int watch_call(struct dialplane_client *client, const char *call_id)
{
    struct dialplane_error error = {0};
    struct dialplane_stream *stream = dialplane_watch_call(client, call_id, 0);
    Dialplane__V1__WatchCallResponse *message;
    while (stream && (message = dialplane_watch_next(stream, &error))) {
        if (message->event_case == DIALPLANE__V1__WATCH_CALL_RESPONSE__EVENT_TURN)
            printf("%llu: %s\n", (unsigned long long)message->seq, message->turn->content);
        dialplane_free(message);
    }
    dialplane_stream_close(stream);
    if (error.code != 0)
        fprintf(stderr, "%s: %s\n", dialplane_code_name(error.code), error.message);
    return error.code != 0;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: %s SKILLBASE-ADDRESS [ANALYTICS-ADDRESS CALL-ID]\n", argv[0]);
        return 2;
    }
    dialplane_init();
    struct dialplane_client *client = dialplane_client_open(argv[1]);
    int status = client ? print_companies(client) : 1;
    dialplane_client_close(client);
    if (status == 0 && argc == 4) {
        client = dialplane_client_open(argv[2]);
        status = client ? watch_call(client, argv[3]) : 1;
        dialplane_client_close(client);
    }
    dialplane_exit();
    return status;
}
