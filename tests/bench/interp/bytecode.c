/* An interpreter of a small stack machine, whose program counts how far numbers go until they reach 1 (Collatz). */
#include "lib.h"

enum op { PUSH, LOAD, STORE, ADD, MUL, SHR, AND, LESS, JUMP, JUMP_IF, HALT };
enum variable { N, STEPS, START, LIMIT, VARIABLES };
enum { LAST = 10000, STACK = 16 };

static const struct insn {
    u8 op, arg;
} program[] = {
    {PUSH, 1},     {STORE, START},                                                    /* 0 */
    {LOAD, START}, {STORE, N},                                                        /* 2: from each start */
    {LOAD, N},     {PUSH, 1},      {AND, 0},  {JUMP_IF, 13},                          /* 4: until it is 1 */
    {LOAD, N},     {PUSH, 1},      {SHR, 0},  {STORE, N},     {JUMP, 19},             /* 8: even */
    {LOAD, N},     {PUSH, 3},      {MUL, 0},  {PUSH, 1},      {ADD, 0},   {STORE, N}, /* 13: odd */
    {LOAD, STEPS}, {PUSH, 1},      {ADD, 0},  {STORE, STEPS},                         /* 19 */
    {PUSH, 1},     {LOAD, N},      {LESS, 0}, {JUMP_IF, 4},                           /* 23 */
    {LOAD, START}, {PUSH, 1},      {ADD, 0},  {STORE, START},                         /* 27 */
    {LOAD, START}, {LOAD, LIMIT},  {LESS, 0}, {JUMP_IF, 2},   {HALT, 0},              /* 31 */
};
static u32 variables[VARIABLES];

static NOINLINE u32 interpret(const struct insn *code)
{
    u32 stack[STACK], *top = stack;
    for (const struct insn *pc = code;; pc++) {
        switch (pc->op) {
        case PUSH:
            *top++ = pc->arg;
            break;
        case LOAD:
            *top++ = variables[pc->arg];
            break;
        case STORE:
            variables[pc->arg] = *--top;
            break;
        case ADD:
            top--, top[-1] += top[0];
            break;
        case MUL:
            top--, top[-1] *= top[0];
            break;
        case SHR:
            top--, top[-1] >>= top[0];
            break;
        case AND:
            top--, top[-1] &= top[0];
            break;
        case LESS:
            top--, top[-1] = top[-1] < top[0];
            break;
        case JUMP:
            pc = code + pc->arg - 1;
            break;
        case JUMP_IF:
            if (*--top) pc = code + pc->arg - 1;
            break;
        default:
            return variables[STEPS];
        }
    }
}

EXPORT(run) u32 run(void)
{
    variables[LIMIT] = LAST;
    return interpret(program);
}
