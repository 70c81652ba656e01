/*
 * DESIGN. The layout is that of mdb.c of LMDB 0.9 (format version 1, 64-bit little-endian
 * machines): two meta pages, of which the one with the higher transaction number holds, each with
 * the roots of the free list and of the main tree. A page has a header of 16 bytes, offsets of its
 * nodes growing up and nodes growing down without gaps.
 */
#include "cache/lmdb_check.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_MAGIC UINT32_C(0xBEEFC0DE)
#define META_VERSION 1
#define PAGE_BRANCH 0x01
#define PAGE_LEAF 0x02
#define PAGE_OVERFLOW 0x04
#define PAGE_META 0x08
#define NODE_BIG 0x01
#define NODE_TREE 0x02
#define NO_PAGE UINT64_MAX
#define DEPTH_MAX 32
#define KEY_MAX 511

struct page_head {
    uint64_t number;
    uint16_t pad, flags;
    uint16_t lower, upper; /* of an overflow run: the number of its pages */
};
_Static_assert(sizeof(struct page_head) == 16, "the header of a page");

struct tree {
    uint32_t pad; /* of the free list: the size of a page */
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};
_Static_assert(sizeof(struct tree) == 48, "the record of a tree");

struct meta {
    uint32_t magic, version;
    uint64_t address, map_bytes;
    struct tree trees[2]; /* free list, main */
    uint64_t last_page, transaction;
};

struct check {
    const unsigned char *data;
    size_t page_bytes;
    uint64_t file_pages;
    uint64_t last_page;
    unsigned char *seen; /* a bit for each page */
};

enum tree_kind { TREE_MAIN, TREE_FREE, TREE_NAMED };

/* What a walk over one tree found, to be compared with its record. */
struct walk {
    struct check *check;
    const struct tree *tree;
    enum tree_kind kind;
    struct tree found;
};

struct node {
    const unsigned char *key, *data;
    size_t key_len, data_len;
    uint64_t child; /* of a branch */
    uint16_t flags;
};

/* Each page may be met once. */
static bool claim(struct check *check, uint64_t page)
{
    if (page < 2 || page > check->last_page)
        return false;
    unsigned char *byte = &check->seen[page / 8];
    unsigned char bit = (unsigned char)(1U << (page % 8));
    if (*byte & bit)
        return false;
    *byte |= bit;
    return true;
}

static struct page_head head_at(const struct check *check, uint64_t page)
{
    struct page_head head;
    memcpy(&head, check->data + page * check->page_bytes, sizeof(head));
    return head;
}

/* A run of pages that holds one long value. */
static bool read_overflow(struct walk *walk, struct node *node)
{
    struct check *check = walk->check;
    uint64_t first;
    memcpy(&first, node->data, sizeof(first));
    if (first < 2 || first >= check->file_pages)
        return false;
    struct page_head head = head_at(check, first);
    uint64_t count = head.lower | (uint64_t)head.upper << 16;
    size_t space = sizeof(head) + node->data_len;
    if (head.number != first || head.flags != PAGE_OVERFLOW ||
        count != (space + check->page_bytes - 1) / check->page_bytes ||
        count > check->file_pages - first)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!claim(check, first + i))
            return false;
    }
    node->data = check->data + first * check->page_bytes + sizeof(head);
    walk->found.overflows += count;
    return true;
}

/* The node at an offset; its size in the page. 0: not a node. */
static size_t read_node(const struct check *check, const unsigned char *page, size_t offset,
                        bool leaf, struct node *node)
{
    uint16_t raw[4]; /* low, high, flags, length of the key */
    if (offset % 2 != 0 || offset + sizeof(raw) > check->page_bytes)
        return 0;
    memcpy(raw, page + offset, sizeof(raw));
    *node = (struct node){.key = page + offset + sizeof(raw), .key_len = raw[3]};
    size_t size = sizeof(raw) + node->key_len;
    if (leaf) {
        node->flags = raw[2];
        node->data_len = (size_t)raw[0] | (size_t)raw[1] << 16;
        size += node->flags & NODE_BIG ? sizeof(uint64_t) : node->data_len;
    } else {
        node->child = (uint64_t)raw[0] | (uint64_t)raw[1] << 16 | (uint64_t)raw[2] << 32;
    }
    node->data = node->key + node->key_len;
    if (node->key_len > KEY_MAX || offset + size > check->page_bytes)
        return 0;
    return size + size % 2;
}

static bool in_order(const struct walk *walk, const struct node *before, const struct node *node)
{
    if (walk->kind == TREE_FREE) {
        uint64_t a, b;
        if (before->key_len != sizeof(a) || node->key_len != sizeof(b))
            return false;
        memcpy(&a, before->key, sizeof(a));
        memcpy(&b, node->key, sizeof(b));
        return a < b;
    }
    size_t least = before->key_len < node->key_len ? before->key_len : node->key_len;
    int order = memcmp(before->key, node->key, least);
    return order < 0 || (order == 0 && before->key_len < node->key_len);
}

/* The numbers of free pages: how many, then they. */
static bool read_free(struct check *check, const struct node *node)
{
    uint64_t count, page;
    if (node->key_len != sizeof(uint64_t) || node->data_len < sizeof(count))
        return false;
    memcpy(&count, node->data, sizeof(count));
    if (count > node->data_len / sizeof(page) - 1)
        return false;
    uint64_t before = NO_PAGE;
    for (uint64_t i = 1; i <= count; i++) {
        memcpy(&page, node->data + i * sizeof(page), sizeof(page));
        if (page >= before || !claim(check, page))
            return false;
        before = page;
    }
    return true;
}

static bool walk_tree(struct check *check, const struct tree *tree, enum tree_kind kind);

static bool read_leaf(struct walk *walk, struct node *node)
{
    walk->found.entries++;
    if (node->flags & ~(NODE_BIG | NODE_TREE))
        return false;
    if ((node->flags & NODE_BIG) && !read_overflow(walk, node))
        return false;
    if (walk->kind == TREE_FREE)
        return read_free(walk->check, node);
    if (!(node->flags & NODE_TREE))
        return true;
    struct tree tree;
    if (walk->kind != TREE_MAIN || node->data_len != sizeof(tree) || (node->flags & NODE_BIG))
        return false;
    memcpy(&tree, node->data, sizeof(tree));
    return walk_tree(walk->check, &tree, TREE_NAMED);
}

static bool walk_page(struct walk *walk, uint64_t number, unsigned level)
{
    struct check *check = walk->check;
    if (number >= check->file_pages || !claim(check, number))
        return false;
    struct page_head head = head_at(check, number);
    bool leaf = level == walk->tree->depth;
    size_t count = head.lower < sizeof(head) ? 0 : (head.lower - sizeof(head)) / 2;
    if (head.number != number || head.flags != (leaf ? PAGE_LEAF : PAGE_BRANCH) ||
        head.lower % 2 != 0 || head.lower > head.upper || head.upper > check->page_bytes ||
        count < (leaf ? 1 : 2))
        return false;
    leaf ? walk->found.leaves++ : walk->found.branches++;

    const unsigned char *page = check->data + number * check->page_bytes;
    size_t space = 0;
    struct node before = {0};
    for (size_t i = 0; i < count; i++) {
        struct node node;
        uint16_t offset;
        memcpy(&offset, page + sizeof(head) + 2 * i, sizeof(offset));
        size_t size = offset < head.upper ? 0 : read_node(check, page, offset, leaf, &node);
        /* The first key of a branch is not used and mostly empty. */
        if (size == 0 || (i > (leaf ? 0 : 1) && !in_order(walk, &before, &node)))
            return false;
        before = node;
        space += size;
        if (leaf ? !read_leaf(walk, &node) : !walk_page(walk, node.child, level + 1))
            return false;
    }
    return space == check->page_bytes - head.upper;
}

static bool walk_tree(struct check *check, const struct tree *tree, enum tree_kind kind)
{
    struct walk walk = {.check = check, .tree = tree, .kind = kind};
    if (tree->root == NO_PAGE)
        return tree->depth == 0 && tree->entries == 0;
    if (tree->depth < 1 || tree->depth > DEPTH_MAX || !walk_page(&walk, tree->root, 1))
        return false;
    return walk.found.branches == tree->branches && walk.found.leaves == tree->leaves &&
           walk.found.overflows == tree->overflows && walk.found.entries == tree->entries;
}

static bool read_meta(const struct check *check, uint64_t page, struct meta *meta)
{
    struct page_head head = head_at(check, page);
    memcpy(meta, check->data + page * check->page_bytes + sizeof(head), sizeof(*meta));
    return head.number == page && head.flags == PAGE_META && meta->magic == META_MAGIC &&
           meta->version == META_VERSION && meta->trees[0].pad == check->page_bytes &&
           meta->last_page >= 1;
}

static bool check_data(struct check *check)
{
    struct meta metas[2];
    if (!read_meta(check, 0, &metas[0]) || !read_meta(check, 1, &metas[1]))
        return false;
    const struct meta *meta = &metas[metas[1].transaction > metas[0].transaction];
    /* Pages that were taken and given back before they were written may lie behind the end. */
    if (meta->last_page / 2 > check->file_pages + 4096)
        return false;
    check->last_page = meta->last_page;
    check->seen = calloc(1, meta->last_page / 8 + 1);
    if (!check->seen)
        return false;
    bool sound = walk_tree(check, &meta->trees[1], TREE_MAIN) &&
                 walk_tree(check, &meta->trees[0], TREE_FREE);
    free(check->seen);
    return sound;
}

bool mc_lmdb_check(const char *path)
{
    uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    if (sizeof(size_t) != sizeof(uint64_t) || first != 1)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    struct stat stat;
    struct check check = {.page_bytes = (size_t)sysconf(_SC_PAGESIZE)};
    bool sound = false;
    if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) &&
        stat.st_size >= (off_t)(2 * check.page_bytes)) {
        size_t size = (size_t)stat.st_size;
        void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (data != MAP_FAILED) {
            check.data = data;
            check.file_pages = size / check.page_bytes;
            sound = check_data(&check);
            munmap(data, size);
        }
    }
    close(fd);
    return sound;
}
