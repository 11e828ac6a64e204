;; Function 0 is of type 0, of which there is none, which is invalid; a section without a size follows, which is malformed.
(assert_malformed
  (module binary "\00asm" "\01\00\00\00" "\03\02\01\00" "\0a\04\01\02\00\0b" "\0f")
  "unexpected end")
(assert_invalid
  (module binary "\00asm" "\01\00\00\00" "\03\02\01\00" "\0a\04\01\02\00\0b")
  "unknown type")
