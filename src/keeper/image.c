#include "keeper/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cursor.h"

#define SEGMENTS_MAX    64
#define NOTES_SIZE_MAX  4096 /* of a segment of notes; a longer one is read so far */
#define ELF_HEADER_SIZE 64

#define ELF_CLASS_32     1
#define ELF_CLASS_64     2
#define ELF_LITTLE       1
#define MACHINE_386      3
#define MACHINE_X86_64   62
#define SEGMENT_LOAD     1
#define SEGMENT_NOTE     4
#define NOTE_PVH_ENTRY   18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_XEN_ENTRY   1  /* XEN_ELFNOTE_ENTRY */
#define NOTE_XEN_LOADER  8  /* XEN_ELFNOTE_LOADER */
#define NOTE_JITSU_READY 1

/* Linux' boot protocol: Documentation/arch/x86/boot.rst */
#define LINUX_HEADER_END   0x208
#define LINUX_SETUP_SIZE   0x1f1
#define LINUX_BOOT_FLAG    0x1fe
#define LINUX_MAGIC        0x202
#define LINUX_SECTOR       512
#define LINUX_SECTORS_LEFT 4 /* setup_sects 0 means 4 */

/* The file's bytes, on disk or in memory. */
struct source {
    const char *name;
    int file; /* -1: in memory */
    const uint8_t *bytes;
    uint64_t length;
    bool xen; /* kernels that Xen alone boots will do, too */
};

struct elf {
    bool wide; /* 64 bits */
    uint64_t table;
    unsigned entry_size, count;
};

struct segment {
    uint32_t type;
    uint64_t offset, address, file_size, memory_size, alignment;
};

static uint64_t take_little(struct reader *reader, unsigned size)
{
    const uint8_t *bytes = reader_take(reader, size);
    uint64_t value = 0;
    for (unsigned i = size; bytes && i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static int cut_off(const struct source *source, struct error *error)
{
    return error_set(error, "image %s is cut off: it should be longer than %llu bytes",
                     source->name, (unsigned long long)source->length);
}

/* Reads `count` bytes at `offset`, all of them or none. */
static int read_at(const struct source *source, uint64_t offset, void *bytes, size_t count,
                   struct error *error)
{
    if (count > source->length || offset > source->length - count)
        return cut_off(source, error);
    if (source->file == -1) {
        memcpy(bytes, source->bytes + offset, count);
        return 0;
    }
    ssize_t got = pread(source->file, bytes, count, (off_t)offset);
    if (got < 0)
        return error_set_errno(error, "cannot read image %s", source->name);
    return (size_t)got == count ? 0 : cut_off(source, error);
}

/* --- ELF --- */

static int parse_elf_header(const struct source *source, const uint8_t *header, struct elf *elf,
                            struct error *error)
{
    struct reader reader = reader_over(header, ELF_HEADER_SIZE);
    reader_skip(&reader, 4);
    uint8_t class = reader_u8(&reader);
    uint8_t order = reader_u8(&reader);
    reader_skip(&reader, 12);
    uint64_t machine = take_little(&reader, 2);
    if ((class != ELF_CLASS_32 && class != ELF_CLASS_64) || order != ELF_LITTLE ||
        (machine != MACHINE_386 && machine != MACHINE_X86_64))
        return error_set(error, "image %s is an ELF file, but not for x86", source->name);

    elf->wide = class == ELF_CLASS_64;
    reader = reader_over(header, ELF_HEADER_SIZE);
    reader_skip(&reader, elf->wide ? 32 : 28);
    elf->table = take_little(&reader, elf->wide ? 8 : 4);
    reader_skip(&reader, elf->wide ? 14 : 10);
    elf->entry_size = (unsigned)take_little(&reader, 2);
    elf->count = (unsigned)take_little(&reader, 2);
    if (elf->entry_size != (elf->wide ? 56u : 32u) || elf->count == 0 || elf->count > SEGMENTS_MAX)
        return error_set(error, "image %s is an ELF file, but not an executable one", source->name);
    return 0;
}

static struct segment parse_segment(const struct elf *elf, struct reader *table)
{
    unsigned word = elf->wide ? 8 : 4;
    struct segment segment = {.type = (uint32_t)take_little(table, 4)};
    if (elf->wide)
        reader_skip(table, 4); /* flags, which narrow files have later */
    segment.offset = take_little(table, word);
    reader_skip(table, word); /* virtual address */
    segment.address = take_little(table, word);
    segment.file_size = take_little(table, word);
    segment.memory_size = take_little(table, word);
    if (!elf->wide)
        reader_skip(table, 4);
    segment.alignment = take_little(table, word);
    return segment;
}

static uint64_t padding(uint64_t size, uint64_t alignment)
{
    return (alignment - size % alignment) % alignment;
}

struct notes {
    bool pvh, xen, announces;
};

static bool is_note_of(const uint8_t *name, size_t size, const char *owner)
{
    return size == strlen(owner) + 1 && memcmp(name, owner, size) == 0;
}

static void parse_notes(struct reader *reader, uint64_t alignment, struct notes *notes)
{
    while (!reader->failed && reader_left(reader) > 0) {
        size_t name_size = (size_t)take_little(reader, 4);
        size_t content_size = (size_t)take_little(reader, 4);
        uint64_t type = take_little(reader, 4);
        const uint8_t *name = reader_take(reader, name_size);
        reader_skip(reader, padding(name_size, 4));
        const uint8_t *content = reader_take(reader, content_size);
        if (!name || !content)
            return;
        bool xen = is_note_of(name, name_size, "Xen");
        if (xen && type == NOTE_PVH_ENTRY && (content_size == 4 || content_size == 8))
            notes->pvh = true;
        if (xen && (type == NOTE_XEN_ENTRY || type == NOTE_XEN_LOADER))
            notes->xen = true;
        if (is_note_of(name, name_size, "Jitsu") && type == NOTE_JITSU_READY)
            notes->announces = true;
        /* The last one may lack its padding. */
        size_t pad = padding(content_size, alignment == 8 ? 8 : 4);
        reader_skip(reader, pad < reader_left(reader) ? pad : reader_left(reader));
    }
}

static int examine_notes(const struct source *source, const struct segment *segment,
                         struct notes *notes, struct error *error)
{
    uint8_t bytes[NOTES_SIZE_MAX];
    size_t size = segment->file_size < sizeof bytes ? (size_t)segment->file_size : sizeof bytes;
    if (read_at(source, segment->offset, bytes, size, error) != 0)
        return -1;
    struct reader reader = reader_over(bytes, size);
    parse_notes(&reader, segment->alignment, notes);
    return 0;
}

static int examine_load(const struct source *source, const struct segment *segment,
                        struct image *image, struct error *error)
{
    if (segment->file_size > source->length ||
        segment->offset > source->length - segment->file_size)
        return cut_off(source, error);
    uint64_t end;
    if (__builtin_add_overflow(segment->address, segment->memory_size, &end))
        return error_set(error, "image %s has a segment beyond all memory", source->name);
    if (end > image->memory_end)
        image->memory_end = end;
    return 0;
}

static int examine_elf(const struct source *source, const uint8_t *header, struct image *image,
                       struct error *error)
{
    struct elf elf = {0};
    struct notes notes = {0};
    uint8_t table[SEGMENTS_MAX * 56];

    if (parse_elf_header(source, header, &elf, error) != 0)
        return -1;
    size_t size = (size_t)elf.entry_size * elf.count;
    if (read_at(source, elf.table, table, size, error) != 0)
        return -1;
    struct reader reader = reader_over(table, size);
    for (unsigned i = 0; i < elf.count; i++) {
        struct segment segment = parse_segment(&elf, &reader);
        if (segment.type == SEGMENT_NOTE && examine_notes(source, &segment, &notes, error) != 0)
            return -1;
        if (segment.type == SEGMENT_LOAD && examine_load(source, &segment, image, error) != 0)
            return -1;
    }
    if (!notes.pvh && notes.xen && source->xen)
        image->kind = IMAGE_XEN;
    else if (notes.pvh)
        image->kind = IMAGE_PVH;
    else
        return error_set(error,
                         "image %s is not a PVH kernel: it is an ELF file without the note that "
                         "names a PVH entry point",
                         source->name);
    image->announces = notes.announces;
    return 0;
}

/* --- Linux --- */

static bool is_linux(const uint8_t *header)
{
    return header[LINUX_BOOT_FLAG] == 0x55 && header[LINUX_BOOT_FLAG + 1] == 0xaa &&
           memcmp(header + LINUX_MAGIC, "HdrS", 4) == 0;
}

static int examine_linux(const struct source *source, const uint8_t *header, struct image *image,
                         struct error *error)
{
    uint64_t sectors = header[LINUX_SETUP_SIZE] ? header[LINUX_SETUP_SIZE] : LINUX_SECTORS_LEFT;
    if (source->length <= (sectors + 1) * LINUX_SECTOR)
        return cut_off(source, error);
    image->kind = IMAGE_LINUX;
    return 0;
}

/* --- */

static int examine(const struct source *source, struct image *image, struct error *error)
{
    uint8_t header[LINUX_HEADER_END] = {0};
    size_t size = source->length < sizeof header ? (size_t)source->length : sizeof header;

    memset(image, 0, sizeof *image);
    if (size == 0)
        return error_set(error, "image %s is empty", source->name);
    if (read_at(source, 0, header, size, error) != 0)
        return -1;
    if (memcmp(header,
               "\x7f"
               "ELF",
               4) == 0)
        return size < ELF_HEADER_SIZE ? cut_off(source, error)
                                      : examine_elf(source, header, image, error);
    if (is_linux(header))
        return examine_linux(source, header, image, error);
    return error_set(error,
                     "image %s is not a kernel that can be booted: neither an ELF file with a PVH "
                     "entry point nor a Linux bzImage",
                     source->name);
}

int image_examine_bytes(const void *bytes, size_t length, const char *name, struct image *image,
                        struct error *error)
{
    struct source source = {.name = name, .file = -1, .bytes = bytes, .length = length};
    return examine(&source, image, error);
}

static struct file_version version_of(const struct stat *status)
{
    return (struct file_version){
        .device = status->st_dev,
        .inode = status->st_ino,
        .size = status->st_size,
        .changed = (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec,
    };
}

static int examine_file(const char *path, bool xen, struct image *image, struct error *error)
{
    struct stat status;
    /* Non-blocking, or opening a FIFO would wait for a writer. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file == -1)
        return error_set_errno(error, "cannot open image %s", path);
    int failed = -1;
    if (fstat(file, &status) != 0) {
        error_set_errno(error, "cannot look at image %s", path);
    } else if (!S_ISREG(status.st_mode)) {
        error_set(error, "image %s is not a regular file", path);
    } else {
        struct source source = {
            .name = path, .file = file, .length = (uint64_t)status.st_size, .xen = xen};
        failed = examine(&source, image, error);
        image->version = version_of(&status);
    }
    close(file);
    return failed;
}

int image_examine(const char *path, struct image *image, struct error *error)
{
    return examine_file(path, false, image, error);
}

int image_examine_for_xen(const char *path, struct image *image, struct error *error)
{
    return examine_file(path, true, image, error);
}

int file_version_read(const char *path, struct file_version *version, struct error *error)
{
    struct stat status;
    if (stat(path, &status) != 0 || access(path, R_OK) != 0)
        return error_set_errno(error, "cannot read %s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, "%s is not a regular file", path);
    *version = version_of(&status);
    return 0;
}

bool file_version_equal(const struct file_version *a, const struct file_version *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed == b->changed;
}
