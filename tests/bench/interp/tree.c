/* Builds and walks binary trees in linear memory, with an allocator of its own that takes freed nodes back. */
#include "lib.h"

struct node {
    struct node *left, *right;
    u32 value;
};
enum { NODES = 1 << 16, DEPTH = 14, ROUNDS = 48 };
static struct node pool[NODES], *unused;
static u32 fresh;

static struct node *take(void)
{
    struct node *n = unused;
    if (!n) return &pool[fresh++];
    unused = n->left;
    return n;
}

static NOINLINE struct node *build(u32 depth, u32 value)
{
    struct node *n = take();
    n->value = value;
    n->left = depth ? build(depth - 1, 2 * value) : 0;
    n->right = depth ? build(depth - 1, 2 * value + 1) : 0;
    return n;
}

static NOINLINE u32 walk(const struct node *n) { return n ? n->value + walk(n->left) - walk(n->right) : 1; }

static NOINLINE void give_back(struct node *n)
{
    if (!n) return;
    give_back(n->left);
    give_back(n->right);
    n->left = unused;
    unused = n;
}

EXPORT(run) u32 run(void)
{
    u32 sum = 0;
    for (u32 i = 0; i < ROUNDS; i++) {
        struct node *root = build(DEPTH, i + 1);
        sum = mix(sum, walk(root));
        give_back(root);
    }
    return sum;
}
