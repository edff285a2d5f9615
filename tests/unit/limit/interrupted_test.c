/* SPDX-License-Identifier: MIT */
/* A worker that is killed, or stopped for as long as one likes, between any two
 * instructions of a decision.
 *
 * A child makes one call under ptrace, instruction by instruction. Killed: after
 * each one the memory is what a death there would leave, and a copy of it is
 * examined. Stopped: another worker does something, then the child goes on to its
 * end; and then child and memory are put back as they were, to stop one
 * instruction later.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit/set.h"
#include "limit/table.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, START = 24 * HOUR };
enum { LIMIT = 6, HOUR_LIMIT = 100, SEATS = 8, CLIENT = 1000, OTHER = 2000 };

/* Shared with the child. */
struct stage {
    _Alignas(64) char table[8192];
    struct limit_set set; /* one by itself */
    struct limit_seats seats;
    struct limit_rate rate;
    struct limit_verdict verdict; /* what its call said */
    struct limit_seat seat;
    bool done;
};

static struct stage *stage;
static struct limit_table *table;

static int setup(void **state)
{
    (void)state;
    stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return stage == MAP_FAILED || limit_table_bytes(SEATS) > sizeof(stage->table) ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    munmap(stage, sizeof(*stage));
    return 0;
}

static void set_stage(void)
{
    static const uint8_t secret[LIMIT_SECRET_SIZE] = "0123456789abcde";

    memset(stage, 0, sizeof(*stage));
    table = limit_table_init(stage->table, SEATS, secret);
    stage->rate = (struct limit_rate){ .per_minute = LIMIT, .per_hour = HOUR_LIMIT };
}

static struct limit_key key_of(uint64_t n)
{
    struct limit_key key = { .kind = 1 };

    memcpy(key.bytes, &n, sizeof(n));
    return key;
}

/* When others let the child's client through. */
static struct {
    int64_t at[64];
    size_t n;
} others;

static bool check(uint64_t client, int64_t now_ms)
{
    const struct limit_key key = key_of(client);
    struct limit_verdict v;

    limit_table_check(table, &key, &stage->rate, now_ms, &v);
    if (v.allowed && client == CLIENT && others.n < 64)
        others.at[others.n++] = now_ms;
    return v.allowed;
}

static uint32_t fill(uint64_t client, int64_t now_ms)
{
    uint32_t allowed = 0;

    for (int i = 0; i <= LIMIT; i++)
        allowed += check(client, now_ms);
    return allowed;
}

static struct limit_verdict peek(uint64_t client, int64_t now_ms)
{
    const struct limit_key key = key_of(client);
    struct limit_verdict v;

    limit_table_peek(table, &key, &stage->rate, now_ms, &v);
    return v;
}

static void forget(uint64_t client)
{
    const struct limit_key key = key_of(client);

    limit_table_forget(table, &key);
}

/* ---- what the child does, and where --------------------------------------------------- */

struct scenario {
    const char *name;
    void (*before)(void);
    int64_t now_ms; /* of the child's call                    */
    uint32_t room;  /* that its client then has in its minute */
};

static void ask(const struct scenario *s)
{
    const struct limit_key key = key_of(CLIENT);

    limit_table_check(table, &key, &stage->rate, s->now_ms, &stage->verdict);
}

static void nobody_yet(void) {}
static void one_before(void) { check(CLIENT, START); }
static void full_before(void) { fill(CLIENT, START - 30 * SECOND); }

static void three_in_three_seconds(void)
{
    for (int64_t at = -3; at < 0; at++)
        check(CLIENT, START + at * SECOND);
}

static void all_seats_taken(void)
{
    for (uint64_t c = 0; c < SEATS; c++)
        fill(OTHER + c, START - SECOND + (int64_t)c);
}

static const struct scenario scenarios[] = {
    { "its client's first request", nobody_yet, START, LIMIT },
    { "in the open unit", one_before, START, LIMIT - 1 },
    { "in the next unit", one_before, START + SECOND, LIMIT - 1 },
    { "some units later", three_in_three_seconds, START + 20 * SECOND, LIMIT - 3 },
    { "when some have left", three_in_three_seconds, START + 59 * SECOND, LIMIT - 1 },
    { "a long time later", three_in_three_seconds, START + 3 * HOUR, LIMIT },
    { "in another's seat", all_seats_taken, START, LIMIT },
    { "refused", full_before, START, 0 },
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

/* ---- the child ------------------------------------------------------------------------- */

enum { STACK_KEPT = 32768, REGISTERS_MAX = 4096 };

static char *stack_top; /* where the child's part of its stack ends */

typedef void calls(const struct scenario *s);

static _Noreturn void be_child(const struct scenario *s, calls *call)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(errno);
    kill(getpid(), SIGSTOP);
    call(s);
    stage->done = true;
    kill(getpid(), SIGSTOP);
    _exit(0);
}

/* Stopped right before its call; 0 where nobody may be traced. */
static pid_t start_child(const struct scenario *s, calls *call)
{
    int status;
    pid_t pid;

    set_stage();
    s->before();
    stack_top = __builtin_frame_address(0);
    pid = fork();
    if (pid == 0)
        be_child(s, call);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSTOPPED(status) ? pid : 0;
}

static void end_child(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void resume(pid_t pid, int request, int until)
{
    int status;

    assert_int_equal(ptrace((enum __ptrace_request)request, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(WSTOPSIG(status), until);
}

/* One instruction; false when the call has ended. */
static bool step(pid_t pid)
{
    resume(pid, PTRACE_SINGLESTEP, SIGTRAP);
    return !stage->done;
}

static void go_on_to_the_end(pid_t pid)
{
    resume(pid, PTRACE_CONT, SIGSTOP);
    assert_true(stage->done);
}

/* All that its call changes: registers, stack, and what is shared. */
struct moment {
    struct stage stage;
    char registers[2][REGISTERS_MAX];
    size_t sizes[2];
    char stack[STACK_KEPT];
};

static const int register_sets[2] = { NT_PRSTATUS, NT_PRFPREG };

static void keep(pid_t pid, struct moment *m)
{
    struct iovec here = { m->stack, STACK_KEPT }, there = { stack_top - STACK_KEPT, STACK_KEPT };

    m->stage = *stage;
    for (int i = 0; i < 2; i++) {
        struct iovec registers = { m->registers[i], REGISTERS_MAX };

        assert_int_equal(ptrace(PTRACE_GETREGSET, pid, (void *)(intptr_t)register_sets[i], &registers), 0);
        m->sizes[i] = registers.iov_len;
    }
    assert_int_equal(process_vm_readv(pid, &here, 1, &there, 1, 0), STACK_KEPT);
}

static void put_back(pid_t pid, struct moment *m)
{
    struct iovec here = { m->stack, STACK_KEPT }, there = { stack_top - STACK_KEPT, STACK_KEPT };

    *stage = m->stage;
    for (int i = 0; i < 2; i++) {
        struct iovec registers = { m->registers[i], m->sizes[i] };

        assert_int_equal(ptrace(PTRACE_SETREGSET, pid, (void *)(intptr_t)register_sets[i], &registers), 0);
    }
    assert_int_equal(process_vm_writev(pid, &here, 1, &there, 1, 0), STACK_KEPT);
}

/* ---- killed ---------------------------------------------------------------------------- */

/* What the client could still take in that minute, if the child were killed now. It
 * is tried out, and then the memory is as it was. */
static uint32_t examine(const struct scenario *s)
{
    const struct stage kept = *stage;
    uint32_t known = 0, room;

    for (uint64_t c = 0; s->before == all_seats_taken && c < SEATS; c++)
        known += peek(OTHER + c, s->now_ms).minute.remaining == 0;
    assert_true(s->before != all_seats_taken || known >= SEATS - 1);
    room = fill(CLIENT, s->now_ms);
    assert_int_equal(peek(CLIENT, s->now_ms).minute.remaining, 0);
    assert_int_equal(fill(CLIENT, s->now_ms + 61 * SECOND), LIMIT);
    *stage = kept;
    return room;
}

static void test_killed__costs_the_client_that_one_admission_at_most(void **state)
{
    int instructions = 0;
    (void)state;

    for (int i = 0; i < SCENARIOS; i++) {
        const struct scenario *s = &scenarios[i];
        const pid_t pid = start_child(s, ask);
        uint32_t before = s->room;

        if (pid == 0)
            skip();
        for (bool more = true; more; instructions++) {
            uint32_t room;

            more = step(pid);
            room = examine(s);
            assert_in_range(room, s->room > 0 ? s->room - 1 : 0, before);
            before = room;
        }
        assert_int_equal(stage->verdict.allowed, s->room > 0);
        assert_int_equal(before, s->room > 0 ? s->room - 1 : 0);
        end_child(pid);
    }
    print_message("%d instructions\n", instructions);
}

/* ---- stopped --------------------------------------------------------------------------- */

/* How many the child may let through when it goes on: 0 or 1. */
struct answer {
    uint32_t least, most;
};

static struct answer exactly(uint32_t n) { return (struct answer){ n, n }; }

/* Together they let as many through as there was room for. */
static struct answer it_is_filled(const struct scenario *s, bool taken)
{
    const uint32_t let_through = fill(CLIENT, s->now_ms);

    (void)taken;
    return exactly(s->room - let_through);
}

static struct answer a_second_goes_by(const struct scenario *s, bool taken)
{
    const uint32_t room = peek(CLIENT, s->now_ms + SECOND).minute.remaining;

    assert_int_equal(fill(CLIENT, s->now_ms + SECOND), room);
    return exactly(taken);
}

/* What it let through then is gone now; what it has not let through comes too late. */
static struct answer filled_after(const struct scenario *s, int64_t pause_ms, bool taken)
{
    assert_int_equal(fill(CLIENT, s->now_ms + pause_ms), LIMIT);
    return exactly(taken);
}

static struct answer a_minute_goes_by(const struct scenario *s, bool taken)
{
    return filled_after(s, 61 * SECOND, taken);
}

static struct answer an_hour_goes_by(const struct scenario *s, bool taken)
{
    return filled_after(s, 2 * HOUR + 7 * SECOND, taken);
}

static struct answer tags_come_round(const struct scenario *s, bool taken)
{
    return filled_after(s, (1 << 14) * SECOND, taken);
}

/* One every eleven seconds, for longer than the ring of closed units is. */
static struct answer time_goes_by(const struct scenario *s, bool taken)
{
    for (int64_t i = 1; i <= 14; i++)
        check(CLIENT, s->now_ms + i * 11 * SECOND);
    fill(CLIENT, s->now_ms + 154 * SECOND);
    return exactly(taken);
}

/* If it has not let its one through, or does not know that it has, the new count
 * is what counts. */
static struct answer it_is_forgotten(const struct scenario *s, bool taken)
{
    forget(CLIENT);
    assert_int_equal(fill(CLIENT, s->now_ms), LIMIT);
    return (struct answer){ 0, taken };
}

static struct answer it_sits_elsewhere(const struct scenario *s, bool taken)
{
    forget(CLIENT);
    for (uint64_t c = 0; c < 3; c++)
        check(OTHER + 50 + c, s->now_ms);
    assert_int_equal(fill(CLIENT, s->now_ms), LIMIT);
    return (struct answer){ 0, taken };
}

/* So that another seat than before is the one to be given up. */
static struct answer another_seat_is_older(const struct scenario *s, bool taken)
{
    for (uint64_t c = 0; s->before == all_seats_taken && c < 3; c++)
        check(OTHER + c, s->now_ms);
    return it_is_filled(s, taken);
}

static struct answer others_take_all_seats(const struct scenario *s, bool taken)
{
    (void)taken;
    for (int i = 0; i < 4 * SEATS; i++)
        check(OTHER + 100 + (uint64_t)i / 2, s->now_ms + 1 + i / 2);
    return (struct answer){ 0, 1 };
}

typedef struct answer meddling(const struct scenario *s, bool taken);
static meddling *const meddlings[] = {
    it_is_filled,    a_second_goes_by, a_minute_goes_by,  an_hour_goes_by,       tags_come_round,
    it_is_forgotten, time_goes_by,     it_sits_elsewhere, another_seat_is_older, others_take_all_seats,
};
enum { MEDDLINGS = sizeof(meddlings) / sizeof(meddlings[0]) };

/* Whoever sits there now has what they took and not more; one of them may have had
 * to make room for the child's client. */
static void assert_others_untouched(int64_t now_ms)
{
    int seated = 0;

    for (uint64_t c = 0; c < 2 * SEATS; c++) {
        const struct limit_verdict v = peek(OTHER + 100 + c, now_ms);

        if (v.minute.remaining == LIMIT)
            continue;
        seated++;
        assert_int_equal(v.minute.remaining, LIMIT - 2);
        assert_int_equal(v.hour.remaining, HOUR_LIMIT - 2);
    }
    assert_in_range(seated, SEATS - 1, SEATS);
}

/* In the end, all that others let through still counts for as long as it is to. */
static void assert_nothing_lost(void)
{
    const int64_t last = others.n > 0 ? others.at[others.n - 1] : 0;

    for (int64_t at = last; others.n > 0 && at <= last + 60 * SECOND; at += 7 * SECOND) {
        uint32_t used = 0;

        for (size_t i = 0; i < others.n; i++)
            used += others.at[i] >= at - 60 * SECOND;
        assert_true(peek(CLIENT, at).minute.remaining + used <= LIMIT);
    }
}

static void stop_here(pid_t pid, const struct scenario *s, meddling *meddle)
{
    static struct moment moment;
    struct answer answer;
    bool taken;

    keep(pid, &moment);
    taken = s->room > 0 && peek(CLIENT, s->now_ms).minute.remaining < s->room;
    *stage = moment.stage;
    others.n = 0;
    answer = meddle(s, taken);
    go_on_to_the_end(pid);
    assert_in_range(stage->verdict.allowed, answer.least, answer.most);
    if (meddle == others_take_all_seats)
        assert_others_untouched(s->now_ms + 20);
    else
        assert_nothing_lost();
    put_back(pid, &moment);
}

/* At every instruction, with each meddling in turn; with all of them at each when
 * SANAD_TEST_ALL is set (a minute). */
static void test_stopped__lets_through_what_there_still_is_room_for(void **state)
{
    const int each = getenv("SANAD_TEST_ALL") ? 1 : MEDDLINGS;
    int stops = 0;
    (void)state;

    for (int i = 0; i < SCENARIOS; i++) {
        const pid_t pid = start_child(&scenarios[i], ask);

        if (pid == 0)
            skip();
        for (int n = 0; step(pid); n++) {
            for (int m = n % each; m < MEDDLINGS; m += each, stops++)
                stop_here(pid, &scenarios[i], meddlings[m]);
        }
        end_child(pid);
    }
    print_message("%d stops\n", stops);
}

/* One more fits into the hour, and another worker takes it: what the child took of
 * the minute for its own is given back. */
static void narrow_hour(void)
{
    stage->rate.per_hour = 2;
    check(CLIENT, START);
}

static void test_stopped__a_refusal_costs_nothing(void **state)
{
    static const struct scenario s = { "the hour's last", narrow_hour, START, LIMIT - 1 };
    static struct moment moment;
    const pid_t pid = start_child(&s, ask);
    (void)state;

    if (pid == 0)
        skip();
    while (step(pid)) {
        uint32_t allowed;

        keep(pid, &moment);
        allowed = fill(CLIENT, START);
        go_on_to_the_end(pid);
        assert_int_equal(allowed + stage->verdict.allowed, 1);
        assert_int_equal(peek(CLIENT, START).minute.remaining, LIMIT - 2);
        put_back(pid, &moment);
    }
    end_child(pid);
}

/* ---- seats ----------------------------------------------------------------------------- */

static void claim_seat(const struct scenario *s)
{
    stage->seat = limit_set_claim(&stage->set, (uint64_t)CLIENT << 32, s->now_ms, &stage->seats);
}

/* Another's claim is settled, and a third that had not seen it makes one before it
 * and dies. The settled one stays. */
static void test_stopped__a_settled_seat_is_kept(void **state)
{
    static const struct scenario s = { "a claim", nobody_yet, START, 0 };
    static struct moment moment;
    const uint64_t hash = (uint64_t)CLIENT << 32;
    const pid_t pid = start_child(&s, claim_seat);
    (void)state;

    if (pid == 0)
        skip();
    while (step(pid)) {
        struct limit_seat settled;

        keep(pid, &moment);
        for (uint64_t c = 1; c <= 3; c++)
            limit_set_claim(&stage->set, (hash << 8) + (c << 40), START, &stage->seats);
        settled = limit_set_claim(&stage->set, hash, START, &stage->seats);
        if (settled.index > 0)
            atomic_store(&stage->set.tags[settled.index - 1], hash | 9);
        go_on_to_the_end(pid);
        assert_true(limit_seat_kept(&stage->set, &settled));
        assert_int_equal(stage->seat.tag, settled.tag);
        put_back(pid, &moment);
    }
    end_child(pid);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_killed__costs_the_client_that_one_admission_at_most),
        T(test_stopped__lets_through_what_there_still_is_room_for),
        T(test_stopped__a_refusal_costs_nothing),
        T(test_stopped__a_settled_seat_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
