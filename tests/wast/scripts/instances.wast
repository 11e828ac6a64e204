;; Assertions on instances of definitions, as the reference interpreter's grammar has them.
(module definition $unlinked (import "nowhere" "f" (func)))
(assert_unlinkable (module instance $unlinked) "unknown import")
(assert_unlinkable (module instance $i $unlinked) "unknown import")
(assert_unlinkable (module instance) "unknown import")
(assert_unlinkable (module (import "nowhere" "f" (func))) "unknown import")

(module definition $traps (func $f unreachable) (start $f))
(assert_trap (module instance $traps) "unreachable")
(assert_trap (module instance $i $traps) "unreachable")
(assert_trap (module instance) "unreachable")
(assert_trap (module (func $f unreachable) (start $f)) "unreachable")

;; What failed is nobody's: the last instance is still the one before.
(module $good (func (export "one") (result i32) (i32.const 1)))
(assert_trap (module instance $traps) "unreachable")
(assert_return (invoke "one") (i32.const 1))
