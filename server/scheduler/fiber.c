#include "server/scheduler/fiber.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/release.h"

#if FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define PAGE ((size_t)4096)
#define GUARD (16 * PAGE)

static size_t round_up(size_t n) { return (n + PAGE - 1) & ~(PAGE - 1); }

size_t fiber_native_size(size_t vm_size)
{
    return round_up(FIBER_NATIVE_BASE + vm_size / FIBER_VM_FRAME_MIN * FIBER_NATIVE_PER_FRAME);
}

/* ---- the switch itself */

#ifdef __x86_64__

/* Saves the callee-saved registers on the present stack and its pointer in *save, then restores those at `load`. The
 * floating-point control words are the same everywhere in this process, so they stay as they are. */
void fiber_swap(void **save, void *load);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl fiber_swap\n"
        ".hidden fiber_swap\n"
        ".type fiber_swap,@function\n"
        "fiber_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fiber_swap,.-fiber_swap\n"
        /* The first return of a fiber comes here, with the fiber in r12 and the stack 16-byte aligned. */
        ".p2align 4\n"
        ".hidden fiber_entry\n"
        ".type fiber_entry,@function\n"
        "fiber_entry:\n"
        "    movq %r12, %rdi\n"
        "    xorl %ebp, %ebp\n"
        "    call fiber_main\n"
        "    ud2\n"
        ".size fiber_entry,.-fiber_entry\n");
extern char fiber_entry[];

#endif

static void switch_back(struct fiber *f)
{
#ifdef __x86_64__
    fiber_swap(&f->sp, f->back);
#else
    CHECK(swapcontext(&f->context, &f->back) == 0);
#endif
}

__attribute__((used)) void fiber_main(struct fiber *f);
void fiber_main(struct fiber *f)
{
#if FIBER_ASAN
    __sanitizer_finish_switch_fiber(NULL, &f->back_bottom, &f->back_size);
#endif
    f->entry(f->arg);
    f->done = true;
#if FIBER_ASAN
    __sanitizer_start_switch_fiber(NULL, f->back_bottom, f->back_size); /* NULL: this context ends */
#endif
    switch_back(f);
    CHECK(false); /* a finished fiber was resumed */
}

#ifdef __x86_64__
static void prepare(struct fiber *f)
{
    void **sp = (void **)(void *)(f->native + f->native_size);
    *--sp = NULL; /* keeps fiber_entry's stack aligned, and ends a backtrace */
    *--sp = NULL;
    *--sp = fiber_entry;
    for (int i = 0; i < 6; i++) *--sp = NULL;
    sp[3] = f; /* r12 */
    f->sp = sp;
}
#else
static void start(unsigned high, unsigned low) { fiber_main((struct fiber *)((uintptr_t)high << 32 | low)); }

static void prepare(struct fiber *f)
{
    CHECK(getcontext(&f->context) == 0);
    f->context.uc_stack.ss_sp = f->native;
    f->context.uc_stack.ss_size = f->native_size;
    f->context.uc_link = NULL;
    uintptr_t p = (uintptr_t)f;
    makecontext(&f->context, (void (*)(void))start, 2, (unsigned)(p >> 32), (unsigned)p);
}
#endif

bool fiber_resume(struct fiber *f) /* .flat: `back` is the thread's own stack */
{
    CHECK(!f->done);
#if FIBER_ASAN
    void *own = NULL;
    __sanitizer_start_switch_fiber(&own, f->native, f->native_size);
#endif
#ifdef __x86_64__
    fiber_swap(&f->back, f->sp);
#else
    CHECK(swapcontext(&f->back, &f->context) == 0);
#endif
#if FIBER_ASAN
    __sanitizer_finish_switch_fiber(own, NULL, NULL);
#endif
    return f->done;
}

void fiber_suspend(struct fiber *f)
{
#if FIBER_ASAN
    __sanitizer_start_switch_fiber(&f->fake, f->back_bottom, f->back_size);
#endif
    switch_back(f);
#if FIBER_ASAN
    __sanitizer_finish_switch_fiber(f->fake, &f->back_bottom, &f->back_size);
#endif
}

/* ---- the pool */

void fiber_pool_init(struct fiber_pool *pool, size_t vm_size, uint32_t max)
{
    *pool = (struct fiber_pool){.vm_size = round_up(vm_size), .max = max};
}

static bool map_stacks(struct fiber *f)
{
    size_t native = f->native_size, vm = f->pool->vm_size;
    f->map_size = 3 * GUARD + native + vm;
    f->map = mmap(NULL, f->map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (f->map == MAP_FAILED) return false;
    f->native = f->map + GUARD;
    f->vm = f->native + native + GUARD;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED | MAP_GROWSDOWN | MAP_STACK;
    if (mmap(f->native, native, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED ||
        mmap(f->vm, vm, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) {
        munmap(f->map, f->map_size);
        return false;
    }
    return true;
}

static struct fiber *fiber_new(struct fiber_pool *pool)
{
    if (pool->nlive >= pool->max) return NULL;
    struct fiber *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->pool = pool;
    f->native_size = fiber_native_size(pool->vm_size);
    if (!map_stacks(f)) {
        free(f);
        return NULL;
    }
    pool->nlive++;
    return f;
}

static void fiber_free(struct fiber *f)
{
#if FIBER_ASAN
    ASAN_UNPOISON_MEMORY_REGION(f->native, f->native_size);
#endif
    munmap(f->map, f->map_size);
    f->pool->nlive--;
    free(f);
}

static struct fiber *take_made(struct fiber_pool *pool)
{
    struct fiber *f = pool->idle;
    if (f) {
        pool->idle = f->next;
        pool->nidle--;
    } else if ((f = pool->surplus)) {
        pool->surplus = f->next;
    }
    return f;
}

struct fiber *fiber_take(struct fiber_pool *pool, void (*entry)(void *arg), void *arg)
{
    struct fiber *f = take_made(pool);
    if (!f) f = fiber_new(pool);
    if (!f) return NULL;
    f->entry = entry;
    f->arg = arg;
    f->done = false;
    f->kept = f->map_size;
#if FIBER_ASAN
    f->fake = NULL;
    /* Frames that the last context left behind (its last switch never returned) keep their red zones. */
    size_t low = f->native_size < PAGE ? f->native_size : PAGE;
    ASAN_UNPOISON_MEMORY_REGION(f->native + f->native_size - low, low);
#endif
    prepare(f);
    return f;
}

void fiber_give(struct fiber *f)
{
    struct fiber_pool *pool = f->pool;
    if (pool->nidle >= FIBER_IDLE_MAX) {
        f->next = pool->surplus;
        pool->surplus = f;
        return;
    }
    f->next = pool->idle;
    pool->idle = f;
    pool->nidle++;
}

bool fiber_pool_trim(struct fiber_pool *pool, uint32_t *units)
{
    for (struct fiber *f = pool->idle; f; f = f->next)
        if (f->kept > 0 && release_pages(f->map, &f->kept, units)) return true;
    return false;
}

bool fiber_pool_shrink(struct fiber_pool *pool)
{
    struct fiber *f = pool->idle;
    if (!f) return false;
    pool->idle = f->next;
    pool->nidle--;
    f->next = pool->surplus;
    pool->surplus = f;
    return true;
}

bool fiber_pool_free_some(struct fiber_pool *pool, uint32_t *units)
{
    for (struct fiber *f; (f = pool->surplus);) {
        if (!release_unit(units) || (f->kept > 0 && release_pages(f->map, &f->kept, units))) return true;
        release_units(units, RELEASE_CALL_UNITS);
        pool->surplus = f->next;
        fiber_free(f);
    }
    return false;
}

void fiber_pool_deinit(struct fiber_pool *pool)
{
    uint32_t units = UINT32_MAX;
    while (fiber_pool_shrink(pool) || fiber_pool_free_some(pool, &units)) units = UINT32_MAX;
    CHECK(pool->nlive == 0);
}
