;; memory.copy and memory.fill in memory 0: operands of every kind, bounds at the edges, overlap, and lengths on both
;; sides of what is done at once (4096).
(module
  (memory (export "m") 1 2)
  (memory $other 1)
  (data (i32.const 0) "0123456789")
  (global $sum (mut i32) (i32.const 0))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "grow") (memory.grow (i32.const 1)) (drop))
  (func (export "at") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "count") (result i32) (local $n i32) (local $i i32) ;; bytes that are 7
    (loop $l
      (local.set $n (i32.add (local.get $n) (i32.eq (i32.load8_u (local.get $i)) (i32.const 7))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 65536))))
    (local.get $n))

  ;; A result in the register as each operand, and constants; what is on the stack below stays.
  (func (export "copies") (param $z i32) (result i32 i32)
    (i32.add (local.get $z) (i32.const 42))
    (memory.copy (i32.add (local.get $z) (i32.const 100)) (local.get $z) (i32.const 2))
    (memory.copy (i32.add (local.get $z) (i32.const 102)) (i32.const 1) (i32.const 2))
    (memory.copy (i32.add (local.get $z) (i32.const 104)) (i32.const 2) (i32.add (local.get $z) (i32.const 2)))
    (memory.copy (i32.const 106) (i32.add (local.get $z) (i32.const 3)) (i32.const 2))
    (memory.copy (i32.const 108) (i32.const 4) (i32.add (local.get $z) (i32.const 2)))
    (local.set $z (i32.const 110))
    (memory.copy (local.get $z) (i32.const 5) (i32.const 2))
    (memory.copy (i32.const 112) (i32.sub (local.get $z) (i32.const 104)) (i32.sub (local.get $z) (i32.const 108)))
    (local.set $z (i32.const 2))
    (memory.copy (i32.const 114) (i32.const 7) (local.get $z))
    (memory.copy (i32.mul (local.get $z) (i32.const 58)) (i32.const 8) (local.get $z))
    (memory.copy (i32.const 118) (i32.shl (local.get $z) (i32.const 2)) (local.get $z))
    (memory.copy (i32.const 120) (local.get $z) (i32.shr_u (local.get $z) (i32.const 1)))
    (memory.copy (i32.const 124) (local.get $z) (i32.const 2))
    (memory.copy (i32.add (local.get $z) (i32.const 124)) (local.get $z) (local.get $z))
    (local.get $z))
  (func (export "fills") (param $z i32) (result i32)
    (i32.mul (local.get $z) (i32.const 3))
    (memory.fill (i32.add (local.get $z) (i32.const 200)) (i32.const 0x161) (i32.const 1))
    (memory.fill (i32.const 201) (i32.add (local.get $z) (i32.const 0x62)) (i32.const 1))
    (memory.fill (i32.const 202) (i32.const 0x63) (i32.add (local.get $z) (i32.const 1)))
    (memory.fill (i32.add (local.get $z) (i32.const 203)) (local.get $z) (i32.const 1))
    (memory.fill (i32.const 204) (i32.const 0x65) (i32.const 4)))

  ;; A long one with references and numbers on the stack below it, in locals and not.
  (func (export "kept") (param $n i32) (result i32 i32 i32)
    (local $r (ref null i31))
    (local.set $r (ref.i31 (i32.const 11)))
    (ref.i31 (i32.add (local.get $n) (i32.const 1)))
    (local.get $r)
    (i32.add (local.get $n) (i32.const 2))
    (memory.copy (i32.const 1024) (i32.const 2048) (local.get $n))
    (memory.fill (i32.const 1024) (i32.const 0) (local.get $n))
    (local.set $n) (i31.get_u) (global.set $sum) (i31.get_u) (global.get $sum) (local.get $n))
  ;; Others than memory 0.
  (func (export "other") (result i64 i64)
    (memory.copy $other 0 (i32.const 8) (i32.const 0) (i32.const 8))
    (memory.copy 0 $other (i32.const 300) (i32.const 4) (i32.const 8))
    (memory.fill $other (i32.const 0) (i32.const 1) (i32.const 3))
    (i64.load (i32.const 300)) (i64.load $other (i32.const 0))))

(assert_return (invoke "copies" (i32.const 0)) (i32.const 42) (i32.const 2))
(assert_return (invoke "at" (i32.const 100)) (i64.const 0x3433333232313130)) ;; 01 12 23 34
(assert_return (invoke "at" (i32.const 108)) (i64.const 0x3837373636353534)) ;; 45 56 67 78
(assert_return (invoke "at" (i32.const 114)) (i64.const 0x0032393839383837)) ;; 78 89 89 2
(assert_return (invoke "at" (i32.const 120)) (i64.const 0x3332333200000032)) ;; 2, then 23 23
(assert_return (invoke "fills" (i32.const 0)) (i32.const 0))
(assert_return (invoke "at" (i32.const 200)) (i64.const 0x6565656500636261))
(assert_return (invoke "other") (i64.const 0x3332313000000000) (i64.const 0x0000000000010101))

;; Bounds: the whole range is checked before anything is written.
(assert_return (invoke "copy" (i32.const 65536) (i32.const 65536) (i32.const 0)))
(assert_return (invoke "fill" (i32.const 65536) (i32.const 7) (i32.const 0)))
(assert_trap (invoke "copy" (i32.const 65537) (i32.const 0) (i32.const 0)) "out of bounds memory access")
(assert_trap (invoke "copy" (i32.const 0) (i32.const 65537) (i32.const 0)) "out of bounds memory access")
(assert_trap (invoke "fill" (i32.const 65537) (i32.const 7) (i32.const 0)) "out of bounds memory access")
(assert_trap (invoke "copy" (i32.const 65533) (i32.const 0) (i32.const 4)) "out of bounds memory access")
(assert_trap (invoke "copy" (i32.const 0) (i32.const 65533) (i32.const 4)) "out of bounds memory access")
(assert_trap (invoke "fill" (i32.const 65533) (i32.const 7) (i32.const 4)) "out of bounds memory access")
(assert_trap (invoke "copy" (i32.const -1) (i32.const 0) (i32.const 1)) "out of bounds memory access")
(assert_trap (invoke "copy" (i32.const 0) (i32.const -1) (i32.const 1)) "out of bounds memory access")
(assert_trap (invoke "fill" (i32.const -1) (i32.const 7) (i32.const 1)) "out of bounds memory access")
(assert_trap (invoke "copy" (i32.const 1) (i32.const 0) (i32.const -1)) "out of bounds memory access")
(assert_trap (invoke "copy" (i32.const 0) (i32.const 1) (i32.const -1)) "out of bounds memory access")
(assert_trap (invoke "fill" (i32.const 1) (i32.const 7) (i32.const -1)) "out of bounds memory access")
(assert_trap (invoke "fill" (i32.const 61440) (i32.const 7) (i32.const 4097)) "out of bounds memory access")
(assert_return (invoke "count") (i32.const 0))
(assert_return (invoke "fill" (i32.const 61440) (i32.const 7) (i32.const 4096)))
(assert_return (invoke "count") (i32.const 4096))
(assert_return (invoke "fill" (i32.const 61439) (i32.const 7) (i32.const 4097)))
(assert_return (invoke "count") (i32.const 4097))
(assert_return (invoke "copy" (i32.const 32768) (i32.const 61439) (i32.const 4097)))
(assert_return (invoke "count") (i32.const 8194))
(assert_return (invoke "copy" (i32.const 61440) (i32.const 0) (i32.const 4096)))
(assert_return (invoke "count") (i32.const 4098))

;; Overlap, both ways.
(assert_return (invoke "copy" (i32.const 1) (i32.const 0) (i32.const 8)))
(assert_return (invoke "at" (i32.const 1)) (i64.const 0x3736353433323130))
(assert_return (invoke "copy" (i32.const 0) (i32.const 1) (i32.const 8)))
(assert_return (invoke "at" (i32.const 0)) (i64.const 0x3736353433323130))
(assert_return (invoke "copy" (i32.const 3) (i32.const 3) (i32.const 5000)))
(assert_return (invoke "at" (i32.const 0)) (i64.const 0x3736353433323130))
(assert_return (invoke "copy" (i32.const 3) (i32.const 0) (i32.const 5000)))
(assert_return (invoke "at" (i32.const 3)) (i64.const 0x3736353433323130))
(assert_return (invoke "copy" (i32.const 0) (i32.const 3) (i32.const 5000)))
(assert_return (invoke "at" (i32.const 0)) (i64.const 0x3736353433323130))

(assert_return (invoke "kept" (i32.const 4096)) (i32.const 4097) (i32.const 11) (i32.const 4098))
(assert_return (invoke "kept" (i32.const 4097)) (i32.const 4098) (i32.const 11) (i32.const 4099))

;; The bounds are those after memory.grow.
(invoke "grow")
(assert_return (invoke "fill" (i32.const 65530) (i32.const 7) (i32.const 65542)))
(assert_return (invoke "byte" (i32.const 131071)) (i32.const 7))
(assert_return (invoke "fill" (i32.const 131071) (i32.const 8) (i32.const 1)))
(assert_return (invoke "byte" (i32.const 131071)) (i32.const 8))
(assert_trap (invoke "fill" (i32.const 131071) (i32.const 8) (i32.const 2)) "out of bounds memory access")

;; Without a byte of memory there is nothing to copy.
(module
  (memory 0)
  (func (export "copy") (param i32) (memory.copy (local.get 0) (i32.const 0) (i32.const 0)))
  (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 0) (local.get 0))))
(assert_return (invoke "copy" (i32.const 0)))
(assert_trap (invoke "copy" (i32.const 1)) "out of bounds memory access")
(assert_return (invoke "fill" (i32.const 0)))
(assert_trap (invoke "fill" (i32.const 1)) "out of bounds memory access")
