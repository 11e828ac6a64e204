/* The limit canonical_nans: what 0/0 gives, in numbers and lanes, as a client sees it. */
#include "tests/e2e/support.h"

static const char TEXT[] =
    "(module\n"
    "  (func (export \"f32\") (param f32) (result i32)\n"
    "    (i32.reinterpret_f32 (f32.div (local.get 0) (local.get 0))))\n"
    "  (func (export \"lane\") (param f32) (result i32)\n"
    "    (i32x4.extract_lane 2 (f32x4.div (f32x4.splat (local.get 0)) (f32x4.splat (local.get 0)))))\n"
    "  (func (export \"given\") (param f32) (result f32) (f32.neg (local.get 0))))";

static void check(const char *limits, uint32_t mask)
{
    struct daemon d;
    hemi_store *store;
    daemon_start_tenants(&d, 1, limits);
    hemi_client *client = client_open(d.socket);
    hemi_instance *in = instance_from(client, TEXT, &store);
    static const char *const names[] = {"f32", "lane"};
    hemi_val zero = hemi_f32(0), r;
    for (int i = 0; i < 2; i++) {
        ok(client, hemi_call(export_of(in, names[i]), &zero, 1, &r, 1, NULL));
        ck_assert_uint_eq((uint32_t)r.of.i32 & mask, 0x7FC00000);
    }
    hemi_val given = {.kind = HEMI_F32};
    const uint32_t bits = 0x7FC00123;
    __builtin_memcpy(&given.of.f32, &bits, sizeof bits);
    ok(client, hemi_call(export_of(in, "given"), &given, 1, &r, 1, NULL));
    ck_assert_mem_eq(&r.of.f32, (&(const uint32_t){0xFFC00123}), 4);
    hemi_client_free(client);
    daemon_stop(&d);
}

START_TEST(arithmetic_gives_the_canonical_nan) { check("canonical_nans = \"on\";", UINT32_MAX); }
END_TEST

/* Any sign: x86-64's is the other one. */
START_TEST(without_the_limit_any_nan_will_do) { check(NULL, 0x7FFFFFFF); }
END_TEST

int main(void)
{
    Suite *s = suite_create("canonical");
    TCase *t = tcase_create("canonical");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, arithmetic_gives_the_canonical_nan);
    tcase_add_test(t, without_the_limit_any_nan_will_do);
    suite_add_tcase(s, t);
    return run_suite(s);
}
