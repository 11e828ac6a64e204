/* tests/unit/runtime/differential_test.c -- generated modules do the same with guard pages and without, however often
 * the collector runs, counted or not. The fuzzer of the same name does this for longer. */
#include "tests/fuzz/generate.h"
#include "tests/fuzz/world.h"
#include "tests/unit/rig.h"

enum { MODULES = 400, INPUT = 600 };

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

START_TEST(generated_modules_agree)
{
    const char *given = getenv("HEMI_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1, state = seed + (uint64_t)_i * 1000003;
    uint8_t input[INPUT];
    struct bytes module;
    printf("generated_modules_agree: HEMI_SEED=%llu, module %d\n", (unsigned long long)seed, _i);
    for (uint32_t i = 0; i < INPUT; i++) input[i] = (uint8_t)next(&state);
    generate_module(input, INPUT, &module);
    ck_assert_msg(world_compare(module.at, module.len), "a generated module was refused");
    free(module.at);
}
END_TEST

/* The comparison can tell: another program has another log. */
START_TEST(different_modules_have_different_logs)
{
    static struct world_log a, b;
    struct bytes one, two;
    generate_module((const uint8_t *)"\1\2\3\4\5\6\7\1\2\3\4\5\6", 13, &one);
    generate_module((const uint8_t *)"\3\1\2\2\4\5\4\4\3\3\3\3\3", 13, &two);
    ck_assert_int_eq(world_run(one.at, one.len, &(struct world_options){0}, &a), WORLD_DONE);
    ck_assert_int_eq(world_run(two.at, two.len, &(struct world_options){0}, &b), WORLD_DONE);
    ck_assert(a.len != b.len || memcmp(a.text, b.text, a.len) != 0);
    free(one.at);
    free(two.at);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("differential");
    TCase *t = tcase_create("modules");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, generated_modules_agree, 0, MODULES);
    tcase_add_test(t, different_modules_have_different_logs);
    suite_add_tcase(s, t);
    return run_suite(s);
}
