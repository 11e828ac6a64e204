# What every target of ours is compiled with. Nothing here is repeated in a folder's own CMakeLists.txt.
add_library(hemi_options INTERFACE)
target_include_directories(hemi_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_definitions(hemi_options INTERFACE _GNU_SOURCE HEMI_VERSION="${PROJECT_VERSION}"
    $<$<BOOL:${HEMI_STRESS}>:HEMI_STRESS=1> $<$<BOOL:${HEMI_ASSERTS}>:HEMI_ASSERTS=1>
    $<$<BOOL:${HEMI_JAIL_TEST}>:HEMI_JAIL_TEST=1>)
target_compile_options(hemi_options INTERFACE
    -Wall -Wextra -Werror -Wconversion -Wshadow -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
    -Wundef -Wno-sign-conversion -fno-strict-aliasing -fno-common -ffp-contract=off)
