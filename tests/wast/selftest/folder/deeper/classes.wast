;; Wrong by class.
(module definition $traps (func $f unreachable) (start $f)) ;; right
(module (func (export "trap") unreachable) (func $deep (export "deep") (call $deep))) ;; right
(assert_trap (invoke "deep") "call stack exhausted")
(assert_exhaustion (invoke "trap") "unreachable")
(assert_unlinkable (module instance $traps) "unreachable")
(assert_trap (module instance $nobody) "unreachable")
