/* The mailbox: how another thread reaches the loop.
 *
 * Posters push letters on a lock-free stack; the one who finds it empty writes to an eventfd. The
 * loop reads the eventfd FIRST and then takes the whole stack and turns it round, so that each
 * poster's letters come in the order posted. A letter pushed between the read and the exchange is
 * delivered now and costs one empty wake-up; one pushed after the exchange finds the stack empty
 * and wakes us again. So no letter is ever left behind. */
#include "loop/internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_mail(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct loop *loop = context;
    uint64_t wakeups;
    /* EAGAIN cannot be (it was readable); EINTR leaves it readable for the next turn. */
    if (read(fd, &wakeups, sizeof(wakeups)) < 0 && errno != EAGAIN && errno != EINTR)
        log_event(LOG_LEVEL_ERROR, "mailbox_read_failed", log_int("errno", errno));

    struct loop_letter *newest = atomic_exchange_explicit(&loop->mail, NULL, memory_order_acquire);
    struct loop_letter *oldest = NULL;
    while (newest) {
        struct loop_letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct loop_letter *letter = oldest;
        oldest = letter->next; /* delivering may free or re-post the letter */
        letter->next = NULL;
        letter->deliver(letter);
    }
}

bool mailbox_init(struct loop *loop)
{
    atomic_init(&loop->mail, NULL);
    loop->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->mail_fd < 0)
        return false;
    return event_assign(&loop->mail_event, loop->base, loop->mail_fd, EV_READ | EV_PERSIST, on_mail,
                        loop) == 0 &&
           event_add(&loop->mail_event, NULL) == 0;
}

void mailbox_done(struct loop *loop)
{
    if (loop->mail_fd < 0)
        return;
    event_del(&loop->mail_event);
    close(loop->mail_fd);
    loop->mail_fd = -1;
}

void loop_post(struct loop *loop, struct loop_letter *letter)
{
    loop_post_all(loop, letter, letter);
}

void loop_post_all(struct loop *loop, struct loop_letter *newest, struct loop_letter *oldest)
{
    struct loop_letter *head = atomic_load_explicit(&loop->mail, memory_order_relaxed);
    do {
        oldest->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->mail, &head, newest,
                                                    memory_order_release, memory_order_relaxed));
    /* From here on the letter may be delivered and gone. */
    if (head)
        return; /* whoever made the stack non-empty wakes the loop */
    uint64_t one = 1;
    while (write(loop->mail_fd, &one, sizeof(one)) < 0) {
        if (errno == EINTR)
            continue;
        /* EAGAIN: the counter is full, so the loop is awake anyway. */
        if (errno != EAGAIN)
            log_event(LOG_LEVEL_ERROR, "mailbox_write_failed", log_int("errno", errno));
        break;
    }
}
