;; Right by class, wrong by text.
(module (func (export "trap") unreachable) (func $deep (export "deep") (call $deep)))
(assert_trap (invoke "trap") "a trap by another name")
(assert_exhaustion (invoke "deep") "too deep")
(assert_unlinkable (module (import "nowhere" "f" (func))) "no such thing")
