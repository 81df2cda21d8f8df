/* The least that one message to many sockets can cost: accepts COUNT connections on the loopback
 * interface, and sends SIZE bytes to each, one send(2) a socket, for every byte read from standard
 * input. At its end it prints the CPU microseconds that the sending took. What bench_watchers.py
 * holds the gateway against.
 *
 * usage: bench_bare_send COUNT SIZE */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int64_t cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void must(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    struct rlimit limit;
    int64_t used = 0;
    char command;
    int on = 1;

    if (argc != 3)
        return 2;
    size_t count = (size_t)atol(argv[1]), size = (size_t)atol(argv[2]);
    int *sockets = calloc(count, sizeof(*sockets));
    char *message = malloc(size);
    must(sockets && message && size, "memory");
    memset(message, 'x', size);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    must(listen(listener, 1024) == 0, "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (size_t i = 0; i < count; i++) {
        sockets[i] = accept(listener, NULL, NULL);
        must(sockets[i] >= 0, "accept");
        setsockopt(sockets[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    while (read(STDIN_FILENO, &command, 1) == 1) {
        int64_t before = cpu_us();
        for (size_t i = 0; i < count; i++)
            must(send(sockets[i], message, size, MSG_NOSIGNAL) == (ssize_t)size, "send");
        used += cpu_us() - before;
    }
    printf("%lld\n", (long long)used);
    return 0;
}
