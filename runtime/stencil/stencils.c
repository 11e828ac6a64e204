/* runtime/stencil/stencils.c -- an ELF reader for one kind of file: x86-64, relocatable, little-endian, written by
 * clang. */
#include "runtime/stencil/stencils.h"
#include "proto/tables/traps.h"
#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct elf {
    struct stencils *s;
    const Elf64_Ehdr *header;
    const Elf64_Shdr *sections;
    const Elf64_Sym *symbols;
    uint32_t nsymbols;
    const char *names, *section_names;
    uint32_t *constants; /* by section: offset in s->constants + 1, or 0 */
};

__attribute__((format(printf, 2, 3))) static bool fail(struct stencils *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (s->error[0] == 0) vsnprintf(s->error, sizeof s->error, format, args);
    va_end(args);
    return false;
}

static bool read_file(struct stencils *s, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return fail(s, "cannot open %s", path);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    s->file = size > 0 ? malloc((size_t)size) : NULL;
    if (s->file) s->size = fread(s->file, 1, (size_t)size, f);
    fclose(f);
    return s->size == (size_t)size ? true : fail(s, "cannot read %s", path);
}

/* NULL if it does not lie in the file. */
static const void *at(const struct stencils *s, uint64_t offset, uint64_t size)
{
    return offset <= s->size && size <= s->size - offset ? s->file + offset : NULL;
}

static bool open_elf(struct elf *e, struct stencils *s)
{
    *e = (struct elf){.s = s, .header = at(s, 0, sizeof(Elf64_Ehdr))};
    const Elf64_Ehdr *h = e->header;
    if (!h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_machine != EM_X86_64 || h->e_type != ET_REL)
        return fail(s, "not an x86-64 object file");
    e->sections = at(s, h->e_shoff, (uint64_t)h->e_shnum * sizeof *e->sections);
    if (!e->sections || h->e_shstrndx >= h->e_shnum) return fail(s, "no sections");
    e->section_names = at(s, e->sections[h->e_shstrndx].sh_offset, e->sections[h->e_shstrndx].sh_size);
    for (uint32_t i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *section = &e->sections[i];
        if (section->sh_type != SHT_SYMTAB || section->sh_link >= h->e_shnum) continue;
        e->symbols = at(s, section->sh_offset, section->sh_size);
        e->nsymbols = (uint32_t)(section->sh_size / sizeof *e->symbols);
        e->names = at(s, e->sections[section->sh_link].sh_offset, e->sections[section->sh_link].sh_size);
    }
    return e->symbols && e->names && e->section_names ? true : fail(s, "no symbols");
}

static const char *section_name(const struct elf *e, uint32_t i) { return e->section_names + e->sections[i].sh_name; }

/* ---- Sections: code, constants, and no data that could be written */

static bool add_constants(struct elf *e, uint32_t i)
{
    enum { ALIGN = 64 };
    struct stencils *s = e->s;
    const Elf64_Shdr *section = &e->sections[i];
    uint32_t start = (s->nconstants + ALIGN - 1) / ALIGN * ALIGN;
    const void *from = at(s, section->sh_offset, section->sh_size);
    uint8_t *grown = from ? realloc(s->constants, start + section->sh_size) : NULL;
    if (!grown) return fail(s, "constants of %s", section_name(e, i));
    memcpy(grown + start, from, section->sh_size);
    s->constants = grown;
    s->nconstants = (uint32_t)(start + section->sh_size);
    e->constants[i] = start + 1;
    return true;
}

static bool check_section(struct elf *e, uint32_t i)
{
    const Elf64_Shdr *section = &e->sections[i];
    if (!(section->sh_flags & SHF_ALLOC) || section->sh_size == 0) return true;
    if (section->sh_flags & SHF_WRITE)
        return fail(e->s, "a stencil has data of its own: section %s", section_name(e, i));
    if (section->sh_flags & SHF_EXECINSTR) return true;
    return add_constants(e, i);
}

/* ---- Holes */

/* Is `name` the prefix and then a number, or one of the traps' names? */
static bool numbered(const char *name, const char *prefix, uint32_t *n)
{
    size_t length = strlen(prefix);
    char *end;
    if (strncmp(name, prefix, length) != 0) return false;
    *n = (uint32_t)strtoul(name + length, &end, 10);
    return end != name + length && *end == 0;
}

static bool trap_named(const char *name, uint32_t *n)
{
#define X(trap, number, text)                                                                                          \
    if (strcmp(name, "hole_trap_" #trap) == 0) return *n = (number), true;
    WASM_TRAPS(X)
#undef X
    return false;
}

static bool name_hole(const char *name, struct hole *h)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } code[] = {{"hole_next", HOLE_NEXT},
                {"hole_taken", HOLE_TAKEN},
                {"hole_poll", HOLE_POLL},
                {"hole_table", HOLE_TABLE},
                {"hole_unwind", HOLE_UNWIND}};
    for (size_t i = 0; i < sizeof code / sizeof *code; i++)
        if (strcmp(name, code[i].name) == 0) return h->kind = code[i].kind, true;
    if (numbered(name, "hole_slot_", &h->n)) return h->kind = HOLE_SLOT, true;
    if (numbered(name, "hole_u16_", &h->n)) return h->kind = HOLE_U16, true;
    if (numbered(name, "hole_u32_", &h->n)) return h->kind = HOLE_U32, true;
    return trap_named(name, &h->n) ? h->kind = HOLE_TRAP, true : false;
}

/* A relocation as a hole: one of ours by name, or a constant. Everything else is foreign. */
static bool make_hole(struct elf *e, const char *stencil, const Elf64_Rela *rela, struct hole *h)
{
    uint32_t index = (uint32_t)ELF64_R_SYM(rela->r_info), type = (uint32_t)ELF64_R_TYPE(rela->r_info);
    if (index >= e->nsymbols) return fail(e->s, "%s: bad symbol", stencil);
    const Elf64_Sym *symbol = &e->symbols[index];
    const char *name =
        ELF64_ST_TYPE(symbol->st_info) == STT_SECTION ? section_name(e, symbol->st_shndx) : e->names + symbol->st_name;
    *h = (struct hole){.bytes = 4, .at = (uint32_t)rela->r_offset, .addend = rela->r_addend};
    h->relative = type == R_X86_64_PLT32 || type == R_X86_64_PC32;
    bool is_absolute = type == R_X86_64_32 || type == R_X86_64_32S;
    if (symbol->st_shndx == SHN_UNDEF && name_hole(name, h)) {
        bool is_code = h->kind >= HOLE_NEXT;
        return (is_code ? h->relative : is_absolute) ? true
                                                     : fail(e->s, "%s: %s as relocation %u", stencil, name, type);
    }
    uint32_t constants = symbol->st_shndx < e->header->e_shnum ? e->constants[symbol->st_shndx] : 0;
    if (constants == 0 || !h->relative) return fail(e->s, "%s refers to %s (relocation %u)", stencil, name, type);
    h->kind = HOLE_CONSTANT;
    h->n = constants - 1 + (uint32_t)symbol->st_value;
    return true;
}

static const Elf64_Shdr *relocations_of(const struct elf *e, uint32_t section)
{
    for (uint32_t i = 0; i < e->header->e_shnum; i++)
        if (e->sections[i].sh_type == SHT_RELA && e->sections[i].sh_info == section) return &e->sections[i];
    return NULL;
}

static bool add_holes(struct elf *e, const char *name, uint32_t section, struct stencil *to)
{
    struct stencils *s = e->s;
    const Elf64_Shdr *list = relocations_of(e, section);
    to->first = s->nholes;
    to->count = list ? (uint32_t)(list->sh_size / sizeof(Elf64_Rela)) : 0;
    if (to->count == 0) return true;
    const Elf64_Rela *rela = at(s, list->sh_offset, list->sh_size);
    struct hole *grown = rela ? realloc(s->holes, (s->nholes + to->count) * sizeof *grown) : NULL;
    if (!grown) return fail(s, "%s: relocations", name);
    s->holes = grown;
    for (uint32_t i = 0; i < to->count; i++)
        if (!make_hole(e, name, &rela[i], &s->holes[s->nholes++])) return false;
    return true;
}

/* ---- Stencils: a function each, alone in its section */

static uint32_t vmop_named(const char *name)
{
    for (uint32_t i = 0; i < VMOP_COUNT; i++)
        if (strcmp(name, vmop_names[i]) == 0) return i;
    return VMOP_COUNT;
}

static bool add_stencil(struct elf *e, const Elf64_Sym *symbol)
{
    const char *name = e->names + symbol->st_name;
    if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC) return true;
    uint32_t op = strncmp(name, "stencil_", 8) == 0 ? vmop_named(name + 8) : VMOP_COUNT;
    if (op == VMOP_COUNT || symbol->st_shndx >= e->header->e_shnum) return fail(e->s, "foreign function %s", name);
    const Elf64_Shdr *section = &e->sections[symbol->st_shndx];
    struct stencil *to = &e->s->at[op];
    to->bytes = at(e->s, section->sh_offset, section->sh_size);
    to->size = (uint32_t)symbol->st_size;
    if (!to->bytes || symbol->st_value != 0 || symbol->st_size != section->sh_size)
        return fail(e->s, "%s is not alone in its section", name);
    return add_holes(e, name, symbol->st_shndx, to);
}

static bool read_all(struct elf *e)
{
    for (uint32_t i = 0; i < e->header->e_shnum; i++)
        if (!check_section(e, i)) return false;
    for (uint32_t i = 0; i < e->nsymbols; i++)
        if (!add_stencil(e, &e->symbols[i])) return false;
    for (uint32_t i = 0; i < VMOP_COUNT; i++)
        if (!e->s->at[i].bytes) return fail(e->s, "no stencil for %s", vmop_names[i]);
    for (uint32_t i = 0; i < e->header->e_shnum; i++)
        if (e->constants[i] && relocations_of(e, i))
            return fail(e->s, "constants with addresses: %s", section_name(e, i));
    return true;
}

bool stencils_open(struct stencils *s, const char *path)
{
    struct elf e;
    *s = (struct stencils){0};
    if (!read_file(s, path) || !open_elf(&e, s)) return false;
    e.constants = calloc(e.header->e_shnum, sizeof *e.constants);
    bool ok = e.constants && read_all(&e);
    free(e.constants);
    return ok;
}

void stencils_close(struct stencils *s)
{
    free(s->file);
    free(s->holes);
    free(s->constants);
}
