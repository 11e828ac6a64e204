;; The relaxed truncations, which the official suite names but does not run. Where the specification leaves a choice
;; (NaN, out of range) ours saturates, and NaN gives 0.
(module
  (func (export "f32_s") (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))
  (func (export "f32_u") (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_u (local.get 0)))
  (func (export "f64_s") (param v128) (result v128) (i32x4.relaxed_trunc_f64x2_s_zero (local.get 0)))
  (func (export "f64_u") (param v128) (result v128) (i32x4.relaxed_trunc_f64x2_u_zero (local.get 0))))

(assert_return (invoke "f32_s" (v128.const f32x4 -1.9 1.9 -0.0 0x1.fffffep30)) (v128.const i32x4 -1 1 0 0x7fffff80))
(assert_return (invoke "f32_s" (v128.const f32x4 nan 0x1p31 -0x1p31 -inf))
               (v128.const i32x4 0 0x7fffffff 0x80000000 0x80000000))
(assert_return (invoke "f32_u" (v128.const f32x4 0.9 1.9 0x1p31 0x1.fffffep31)) (v128.const i32x4 0 1 0x80000000 -256))
(assert_return (invoke "f32_u" (v128.const f32x4 nan -1 0x1p32 inf)) (v128.const i32x4 0 0 -1 -1))
(assert_return (invoke "f64_s" (v128.const f64x2 -1.9 0x1.fffffffcp30)) (v128.const i32x4 -1 0x7fffffff 0 0))
(assert_return (invoke "f64_s" (v128.const f64x2 nan -0x1p40)) (v128.const i32x4 0 0x80000000 0 0))
(assert_return (invoke "f64_u" (v128.const f64x2 1.9 0x1.fffffffep31)) (v128.const i32x4 1 -1 0 0))
(assert_return (invoke "f64_u" (v128.const f64x2 -1 0x1p40)) (v128.const i32x4 0 -1 0 0))
