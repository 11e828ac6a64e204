/* tests/wast/script.h -- a .wast script as a list of commands: the specification's script language, which is the text
 * format's tokens with commands around modules.
 *
 * Ownership: a script owns everything that it points to, the text too. Plain data after script_read. */
#ifndef HEMI_WAST_SCRIPT_H
#define HEMI_WAST_SCRIPT_H

#include "client/wat/wat.h"
#include "proto/tables/types.h"

struct wast_text {
    const char *bytes; /* NULL: absent */
    size_t length;
};

enum wast_form { FORM_TEXT, FORM_QUOTE, FORM_BINARY };

struct wast_module {
    enum wast_form form;
    struct wast_text name;
    struct wast_text bytes; /* the module's text, or its binary */
};

enum wast_nan { NAN_NONE, NAN_CANONICAL, NAN_ARITHMETIC };

enum wast_value_kind {
    VALUE_NUMBER, /* type, bytes, and which lanes are patterns */
    VALUE_NULL,   /* a null; type says of which hierarchy, VT_BOT if of any */
    VALUE_EXTERN, /* the host's reference `id`, as externref */
    VALUE_HOST,   /* the host's reference `id`, as anyref */
    VALUE_CLASS,  /* pattern: any reference of type `type` */
    VALUE_EITHER, /* pattern: any of the choices */
};

/* An argument, or what a result is compared with. */
struct wast_value {
    enum wast_value_kind kind;
    valtype type;
    uint8_t bytes[16];
    uint8_t lane;    /* width of a float lane in bytes: 4 or 8; 0 for integers */
    uint8_t nans[4]; /* enum wast_nan for each lane */
    uint64_t id;
    struct wast_value *choices;
    uint32_t choice_count;
};

struct wast_action {
    bool get; /* a global, else a call */
    struct wast_text module, name;
    struct wast_value *args;
    uint32_t arg_count;
};

/* Name of the command, and what it holds. */
enum wast_command_kind {
    COMMAND_MODULE,     /* module: instantiate */
    COMMAND_DEFINITION, /* module: only compile */
    COMMAND_INSTANCE,   /* name, of: instantiate a definition */
    COMMAND_REGISTER,   /* text: as; name: the instance */
    COMMAND_ACTION,
    COMMAND_RETURN,           /* action, values */
    COMMAND_TRAP,             /* action, or has_module, or has_instance; text */
    COMMAND_EXHAUSTION,       /* action, text */
    COMMAND_EXCEPTION,        /* action */
    COMMAND_INVALID,          /* module, text */
    COMMAND_MALFORMED,        /* module, text */
    COMMAND_UNLINKABLE,       /* has_module, or has_instance; text */
    COMMAND_MALFORMED_CUSTOM, /* module, text */
    COMMAND_INVALID_CUSTOM,   /* module, text */
};

struct wast_command {
    enum wast_command_kind kind;
    uint32_t line;
    bool has_module;
    bool has_instance; /* of: the definition that is instantiated */
    struct wast_module module;
    struct wast_action action;
    struct wast_text name, of, text;
    struct wast_value *values;
    uint32_t value_count;
};

struct script {
    char *text;
    size_t length;
    struct wast_command *commands;
    uint32_t count, capacity;
    void **owned; /* every other allocation */
    uint32_t owned_count, owned_capacity;
};

/* Parses `text`, which the script takes over (malloc'd, `length` bytes). False: *err says where and what is wrong, and
 * the script is empty. Text modules are only delimited here, not assembled. */
bool script_read(struct script *script, char *text, size_t length, struct wat_error *err);
void script_deinit(struct script *script);

#endif
