/* SPDX-License-Identifier: MIT */
#include "ops/backtrace.h"

#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES_MAX = 64, STACK_BYTES = 64 * 1024 };

/* Only what is safe at any moment: nothing is allocated, nothing is locked. The
 * handler is gone by now (SA_RESETHAND). */
static void tell(int number)
{
    static const char title[] = "backtrace of the process that was aborted:\n";
    void *frames[FRAMES_MAX];
    const int count = backtrace(frames, FRAMES_MAX);

    (void)!write(STDERR_FILENO, title, sizeof(title) - 1);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    (void)raise(number);
}

void backtrace_at_abort(void)
{
    static char room[STACK_BYTES]; /* one a process */
    const stack_t stack = { .ss_sp = room, .ss_size = sizeof(room) };
    struct sigaction action = { .sa_handler = tell, .sa_flags = (int)(SA_ONSTACK | SA_RESETHAND | SA_NODEFER) };
    void *frame;

    (void)backtrace(&frame, 1); /* the first call loads a library */
    (void)sigemptyset(&action.sa_mask);
    (void)sigaltstack(&stack, NULL);
    (void)sigaction(SIGABRT, &action, NULL);
}
