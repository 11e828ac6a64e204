;; What instances share: a memory, a table, globals and functions, seen by both at once, also while one has called the
;; other; and what instantiation leaves behind when it fails.

(module $owner
  (memory (export "memory") 1 4)
  (table (export "table") 4 10 funcref)
  (global $g (export "global") (mut i64) (i64.const 5))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "grow-table") (result i32) (table.grow (ref.null func) (i32.const 2)))
  (func (export "set") (param i64) (global.set $g (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))
(register "owner" $owner)

(module $user
  (import "owner" "memory" (memory 1))
  (import "owner" "table" (table 1 funcref))
  (import "owner" "global" (global $g (mut i64)))
  (import "owner" "grow" (func $grow (result i32)))
  (import "owner" "grow-table" (func $grow-table (result i32)))
  (import "owner" "set" (func $set (param i64)))
  (import "owner" "load" (func $load (param i32) (result i32)))
  (func $nine (result i32) (i32.const 9))
  (elem (i32.const 2) $nine)
  (data (i32.const 100) "\01\02\03\04")

  ;; The base of the memory may move under a running function.
  (func (export "grow") (result i32)
    (i32.store (i32.const 200) (i32.const 11))
    (drop (call $grow))
    (i32.store (i32.mul (i32.const 65536) (i32.sub (memory.size) (i32.const 1))) (i32.const 22))
    (i32.add (i32.load (i32.const 200))
      (call $load (i32.mul (i32.const 65536) (i32.sub (memory.size) (i32.const 1))))))
  (func (export "grow-table") (result i32 i32)
    (call $grow-table)
    (table.set (i32.sub (table.size) (i32.const 1)) (ref.func $nine))
    (table.size))
  (func (export "set") (result i64)
    (call $set (i64.const 77))
    (global.get $g))
  (func (export "edge") (param i32) (result i32) (i32.load offset=65532 (local.get 0))))
(assert_return (invoke $owner "load" (i32.const 100)) (i32.const 0x04030201))
(assert_return (invoke $owner "call" (i32.const 2)) (i32.const 9))
(assert_trap (invoke $owner "call" (i32.const 1)) "uninitialized element")
(assert_trap (invoke $owner "call" (i32.const 4)) "undefined element")
(assert_return (invoke $user "edge" (i32.const 0)) (i32.const 0))
(assert_trap (invoke $user "edge" (i32.const 1)) "out of bounds memory access")
(assert_trap (invoke $user "edge" (i32.const -1)) "out of bounds memory access")
(assert_return (invoke $user "grow") (i32.const 33))
(assert_return (invoke $user "edge" (i32.const 1)) (i32.const 0x16000000))
(assert_return (invoke $user "grow-table") (i32.const 4) (i32.const 6))
(assert_return (invoke $owner "call" (i32.const 5)) (i32.const 9))
(assert_return (invoke $user "set") (i64.const 77))
(assert_return (get $owner "global") (i64.const 77))

;; A failed instantiation has written what came before its failure, and its functions live on in the table.
(assert_trap
  (module
    (import "owner" "table" (table 1 funcref))
    (import "owner" "memory" (memory 1))
    (func $ten (result i32) (i32.const 10))
    (elem (i32.const 0) $ten)
    (data (i32.const 0) "\2a")
    (data (i32.const 0x7fffffff) "\2a"))
  "out of bounds memory access")
(assert_return (invoke $owner "call" (i32.const 0)) (i32.const 10))
(assert_return (invoke $owner "load" (i32.const 0)) (i32.const 42))
(assert_trap
  (module
    (import "owner" "table" (table 1 funcref))
    (func $start (result i32) (i32.const 13))
    (func $main (unreachable))
    (elem (i32.const 1) $start)
    (start $main))
  "unreachable")
(assert_return (invoke $owner "call" (i32.const 1)) (i32.const 13))

;; Types must match, in both directions where a thing is mutable.
(assert_unlinkable (module (import "owner" "nothing" (func))) "unknown import")
(assert_unlinkable (module (import "owner" "memory" (memory 1 2))) "incompatible import type")
(assert_unlinkable (module (import "owner" "table" (table 1 externref))) "incompatible import type")
(assert_unlinkable (module (import "owner" "global" (global i64))) "incompatible import type")
(assert_unlinkable (module (import "owner" "set" (func (param i32)))) "incompatible import type")
(assert_unlinkable (module (import "owner" "set" (memory 1))) "incompatible import type")
