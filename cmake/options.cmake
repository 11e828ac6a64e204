# What every target of ours is compiled with. Nothing here is repeated in a folder's own CMakeLists.txt.
add_library(hemi_options INTERFACE)
target_include_directories(hemi_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_definitions(hemi_options INTERFACE _GNU_SOURCE HEMI_VERSION="${PROJECT_VERSION}"
    $<$<BOOL:${HEMI_STRESS}>:HEMI_STRESS=1> $<$<BOOL:${HEMI_ASSERTS}>:HEMI_ASSERTS=1>
    $<$<BOOL:${HEMI_JAIL_TEST}>:HEMI_JAIL_TEST=1>)
target_compile_options(hemi_options INTERFACE
    -Wall -Wextra -Werror -Wconversion -Wshadow -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
    -Wundef -Wno-sign-conversion -fno-strict-aliasing -fno-common -ffp-contract=off)

# Loading a module passes through many small files, and is a tenth faster when they are optimised as one. The engine's
# objects hold both forms: what links hemi_lto takes that of link-time optimisation, tests the ordinary one.
add_library(hemi_lto INTERFACE)
if(HEMI_LTO)
    set(HEMI_LTO_OBJECTS -flto=full -ffat-lto-objects)
    target_link_options(hemi_lto INTERFACE -flto=full -fuse-ld=lld -Wl,--fat-lto-objects)
endif()
