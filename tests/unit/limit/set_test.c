/* SPDX-License-Identifier: MIT */
/* Who sits where, and what becomes of claims whose makers died. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "limit/set.h"

#define CLIENT(n) (UINT64_C(0x1234567800000000) + ((uint64_t)(n) << 24))
#define SETTLED   UINT64_C(0x10000)

static struct limit_set set;
static struct limit_seats seats;

static int setup(void **state)
{
    (void)state;
    memset(&set, 0, sizeof(set));
    memset(&seats, 0, sizeof(seats));
    return 0;
}

static struct limit_seat claim(int client, int64_t now_ms)
{
    return limit_set_claim(&set, CLIENT(client), now_ms, &seats);
}

static bool known(int client)
{
    struct limit_seat seat;

    return limit_set_find(&set, CLIENT(client), &seat);
}

/* Both at the same moment: a tag that is there again was there all the time, for
 * its life does not come back. */
static bool seated_twice(const struct limit_set *s, int client)
{
    for (int i = 0; i < SET_SEATS; i++) {
        const uint64_t first = atomic_load(&s->tags[i]);

        for (int k = i + 1; limit_seat_is(first, CLIENT(client)) && k < SET_SEATS; k++) {
            if (limit_seat_is(atomic_load(&s->tags[k]), CLIENT(client)) && atomic_load(&s->tags[i]) == first)
                return true;
        }
    }
    return false;
}

/* What a worker leaves that dies between its claim and the settling of it. */
static void leave_claim(unsigned index, int client, uint16_t life)
{
    atomic_store(&set.tags[index], CLIENT(client) | life);
    atomic_fetch_add(&seats.taken, 1);
}

static void test_claim__seats_each_client_once(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int c = 0; c < SET_SEATS; c++)
            assert_int_equal(claim(c, 100 + c).index, c);
    }
    assert_int_equal(atomic_load(&seats.taken), 8);
    assert_int_equal(atomic_load(&seats.evictions), 0);
}

static void test_claim__knows_a_client_whose_hash_says_little(void **state)
{
    struct limit_seat seat;
    (void)state;

    seat = limit_set_claim(&set, 0, 1, &seats);
    assert_true(limit_seat_settled(seat.tag));
    assert_int_equal(limit_set_claim(&set, 0, 1, &seats).tag, seat.tag);
    assert_true(limit_set_leave(&set, 0, &seats));
    assert_false(limit_set_leave(&set, 0, &seats));
}

static void test_claim__evicts_the_least_recently_seen(void **state)
{
    (void)state;
    for (int c = 0; c < SET_SEATS; c++)
        claim(c, 100 + c);
    claim(0, 200);
    claim(8, 201);
    assert_true(known(0));
    assert_false(known(1));
    claim(9, 202);
    assert_false(known(2));
    assert_int_equal(atomic_load(&seats.taken), 8);
    assert_int_equal(atomic_load(&seats.evictions), 2);
}

static void test_claim__an_earlier_time_does_not_make_a_client_older(void **state)
{
    (void)state;
    for (int c = 0; c < SET_SEATS; c++)
        claim(c, 100 + c);
    claim(7, 90);
    claim(8, 200);
    assert_false(known(0));
    assert_true(known(7));
}

static void test_claim__begins_a_new_life(void **state)
{
    (void)state;
    for (int life = 1; life <= 70000; life++) {
        const struct limit_seat seat = claim(3, 1);

        assert_int_equal(limit_seat_life(seat.tag), life & 0xffff);
        assert_true(limit_seat_kept(&set, &seat));
        assert_true(limit_set_leave(&set, CLIENT(3), &seats));
        assert_false(limit_seat_kept(&set, &seat));
    }
    assert_int_equal(atomic_load(&seats.taken), 0);
}

static void test_claim__settles_what_a_dead_worker_claimed(void **state)
{
    (void)state;
    leave_claim(5, 1, 7);
    assert_false(known(1));
    assert_int_equal(claim(1, 10).tag, CLIENT(1) | SETTLED | 7);
    assert_int_equal(atomic_load(&seats.taken), 1);
}

static void test_claim__settles_one_of_two_claims(void **state)
{
    (void)state;
    leave_claim(6, 1, 7);
    leave_claim(2, 1, 9);
    assert_int_equal(claim(1, 10).index, 2);
    assert_int_equal(atomic_load(&set.tags[6]), 7);
    assert_int_equal(atomic_load(&seats.taken), 1);
}

static void test_claim__a_settled_seat_goes_before_any_claim(void **state)
{
    (void)state;
    claim(0, 1);
    claim(1, 1);
    atomic_store(&set.tags[0], 0);
    leave_claim(0, 1, 9);
    assert_int_equal(claim(1, 10).index, 1);
}

static void test_claim__an_old_claim_is_evicted_as_any(void **state)
{
    (void)state;
    for (int c = 0; c < SET_SEATS; c++)
        claim(c, 100 + c);
    atomic_store(&set.tags[0], CLIENT(77) | 5);
    claim(8, 200);
    assert_int_equal(atomic_load(&set.tags[0]), CLIENT(8) | SETTLED | 6);
}

/* Processes claim and free the same few clients, more than there are seats: at no
 * time has one two seats. */
enum { PROCESSES = 6, FEW = 10 };

struct crowd {
    struct limit_set set;
    struct limit_seats seats;
    _Atomic int twice;
};

static _Noreturn void claim_much(struct crowd *c, uint64_t seed)
{
    struct random r;

    random_seed(&r, seed);
    for (int i = 0; i < 60000; i++) {
        const int client = (int)random_below(&r, FEW);

        if (random_below(&r, 3) == 0)
            limit_set_leave(&c->set, CLIENT(client), &c->seats);
        else
            limit_set_claim(&c->set, CLIENT(client), (int64_t)random_below(&r, 1000), &c->seats);
        if (seated_twice(&c->set, client))
            atomic_fetch_add(&c->twice, 1);
    }
    _exit(0);
}

static void test_claim__by_many_at_once_never_seats_a_client_twice(void **state)
{
    struct crowd *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t taken = 0;
    int status;
    (void)state;

    assert_ptr_not_equal(c, MAP_FAILED);
    for (uint64_t i = 0; i < PROCESSES; i++) {
        if (fork() == 0)
            claim_much(c, i + 1);
    }
    for (int i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    for (int client = 0; client < FEW; client++)
        assert_false(seated_twice(&c->set, client));
    for (int i = 0; i < SET_SEATS; i++)
        taken += atomic_load(&c->set.tags[i]) >> 17 != 0;
    assert_int_equal(atomic_load(&c->seats.taken), taken);
    assert_int_equal(atomic_load(&c->twice), 0);
    munmap(c, sizeof(*c));
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_claim__seats_each_client_once),
        T(test_claim__knows_a_client_whose_hash_says_little),
        T(test_claim__evicts_the_least_recently_seen),
        T(test_claim__an_earlier_time_does_not_make_a_client_older),
        T(test_claim__begins_a_new_life),
        T(test_claim__settles_what_a_dead_worker_claimed),
        T(test_claim__settles_one_of_two_claims),
        T(test_claim__a_settled_seat_goes_before_any_claim),
        T(test_claim__an_old_claim_is_evicted_as_any),
        T(test_claim__by_many_at_once_never_seats_a_client_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
