/* The frame functions of frames_plain.py in C: the same answers at a fraction of the cost.

   The twin is the specification. Read it first; names and order are the same here.

   Everything below reads what strangers send. Each function therefore looks at a byte only after
   it has compared its place with the size, and the tests run it under AddressSanitizer.

   There is no state outside of objects, so that interpreters and threads share nothing. */

#define Py_LIMITED_API 0x030B0000 /* one build for CPython 3.11 and newer */
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* RFC 6455, section 5.2. First byte of a frame: the FIN bit and the opcode (1 is text). Second: the
   MASK bit and the length; 126 says that two bytes of length follow, 127 that eight do. Then the
   masking key, in frames from a client. */
#define FINAL_TEXT 0x81
#define MASKED 0x80
#define SHORT_LIMIT 126
#define LENGTH_IN_2 126
#define LENGTH_IN_8 127
#define KEY_SIZE 4
#define SHORT_HEADER_SIZE 2
#define REQUEST_HEADER_SIZE (SHORT_HEADER_SIZE + KEY_SIZE)

/* Unmask or mask (section 5.3), which are one operation. Return a byte that has the highest bit set
   if any byte of the result has: it is zero for ASCII. */
static unsigned char
apply_mask(unsigned char *to, const unsigned char *from, size_t size, const unsigned char *key)
{
    unsigned char all = 0;
    uint64_t all_words = 0, keys, word;
    uint32_t half;
    size_t i = 0;

    memcpy(&keys, key, KEY_SIZE);
    memcpy((unsigned char *)&keys + KEY_SIZE, key, KEY_SIZE);
    for (; i + sizeof(word) <= size; i += sizeof(word)) {
        memcpy(&word, from + i, sizeof(word));
        word ^= keys;
        all_words |= word;
        memcpy(to + i, &word, sizeof(word));
    }
    if (i + sizeof(half) <= size) {
        memcpy(&half, from + i, sizeof(half));
        half ^= (uint32_t)keys; /* both halves are the key */
        all_words |= half;
        memcpy(to + i, &half, sizeof(half));
        i += sizeof(half);
    }
    for (; i < size; i++) {
        to[i] = from[i] ^ key[i % KEY_SIZE];
        all |= to[i];
    }
    return all | ((all_words & UINT64_C(0x8080808080808080)) ? 0x80 : 0);
}

/* Return 1 if the bytes are UTF-8, 0 if not, -1 with an exception if that cannot be told. */
static int
is_utf8(const unsigned char *text, size_t size)
{
    PyObject *decoded = PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)size, "strict");

    if (decoded != NULL) {
        Py_DECREF(decoded);
        return 1;
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

/* Answerer: frames from a client in, frames with the replies out. */

#define MOST_ENDINGS 128
/* So that a reply is at most one byte longer than the frame of its request: it has no key. */
#define LONGEST_ENDING (KEY_SIZE + 1)
/* Bytes after which no further frame is answered in the same call. */
#define MOST_BYTES (1 << 14)
#define LONGEST_READ (MOST_BYTES + REQUEST_HEADER_SIZE + SHORT_LIMIT)
#define LONGEST_WRITTEN (LONGEST_READ + LONGEST_READ / REQUEST_HEADER_SIZE)
/* Bytes that are copied for each ending, since a constant number takes no call. */
#define ENDING_SLOT 8

/* Where an Answerer adds what it does: each a 64-bit integer, in this order. */
enum { RECEIVED, REQUESTS, SENT, COUNTS };

typedef struct {
    PyObject_HEAD
    Py_buffer counts;      /* its buf is NULL where nothing is counted */
    uint64_t random_state;
    uint32_t count;        /* of endings */
    uint32_t uneven;       /* of the 2^32 draws, how many are too many for equal shares */
    Py_ssize_t longest;    /* bytes in a request that is answered here */
    unsigned char sizes[MOST_ENDINGS];
    unsigned char endings[MOST_ENDINGS][ENDING_SLOT];
} Answerer;

/* The next 64 random bits: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
   generators", 2014). */
static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* The place of an ending, each as likely as the others: what makes the shares uneven is drawn again
   (Lemire, "Fast random integer generation in an interval", 2019). */
static uint32_t
draw(Answerer *self)
{
    uint64_t scaled;

    do {
        scaled = (next_random(&self->random_state) >> 32) * self->count;
    } while ((uint32_t)scaled < self->uneven);
    return (uint32_t)(scaled >> 32);
}

/* Seed from the operating system. Return -1 with an exception if it has no random bytes. */
static int
seed(uint64_t *state)
{
    PyObject *os = PyImport_ImportModule("os");
    PyObject *bytes = os ? PyObject_CallMethod(os, "urandom", "n", (Py_ssize_t)sizeof(*state)) : NULL;
    char *start;
    Py_ssize_t size;
    int result = -1;

    if (bytes != NULL && PyBytes_AsStringAndSize(bytes, &start, &size) == 0) {
        memcpy(state, start, sizeof(*state));
        result = 0;
    }
    Py_XDECREF(bytes);
    Py_XDECREF(os);
    return result;
}

/* Take the endings over. Return -1 with an exception if one does not fit. */
static int
set_endings(Answerer *self, PyObject *endings)
{
    Py_ssize_t count = PyTuple_Size(endings), i, size, longest = 0;
    char *ending;

    if (count < 1 || count > MOST_ENDINGS) {
        PyErr_Format(PyExc_ValueError, "from 1 to %d endings, not %zd", MOST_ENDINGS, count);
        return -1;
    }
    for (i = 0; i < count; i++) {
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(endings, i), &ending, &size) < 0) {
            return -1;
        }
        if (size > LONGEST_ENDING) {
            PyErr_Format(PyExc_ValueError, "an ending is longer than %d bytes", LONGEST_ENDING);
            return -1;
        }
        memcpy(self->endings[i], ending, (size_t)size);
        self->sizes[i] = (unsigned char)size;
        longest = size > longest ? size : longest;
    }
    if (self->longest < 0 || self->longest + longest >= SHORT_LIMIT) {
        PyErr_SetString(PyExc_ValueError, "the longest reply must be shorter than 126 bytes");
        return -1;
    }
    self->count = (uint32_t)count;
    self->uneven = (uint32_t)((UINT64_C(1) << 32) % self->count);
    return 0;
}

/* Count there from now on. Return -1 with an exception if that is no memory for three counts. */
static int
set_counts(Answerer *self, PyObject *counts)
{
    if (counts == Py_None) {
        return 0;
    }
    if (PyObject_GetBuffer(counts, &self->counts, PyBUF_WRITABLE) < 0) {
        return -1;
    }
    if (self->counts.len != COUNTS * (Py_ssize_t)sizeof(int64_t)) {
        PyErr_Format(PyExc_ValueError, "counts must be %d integers of 64 bits", COUNTS);
        return -1;
    }
    return 0;
}

static PyObject *
Answerer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"endings", "longest", "counts", NULL};
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *endings, *counts = Py_None;
    Py_ssize_t longest;
    Answerer *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!n|O", names, &PyTuple_Type, &endings, &longest,
                                     &counts)) {
        return NULL;
    }
    self = (Answerer *)allocate(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->longest = longest;
    if (set_endings(self, endings) < 0 || set_counts(self, counts) < 0
        || seed(&self->random_state) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void
Answerer_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyBuffer_Release(&((Answerer *)self)->counts); /* nothing to do where there is none */
    release(self);
    Py_DECREF(type); /* objects of a heap type own a reference to it */
}

/* Write the replies to the frames at the start of data, and count frames, bytes read and bytes
   written: at most LONGEST_WRITTEN, with room for a slot behind. Return -1 on an exception. */
static int
write_replies(Answerer *self, const unsigned char *data, Py_ssize_t size, unsigned char *to,
              Py_ssize_t *count, Py_ssize_t *used, Py_ssize_t *written)
{
    while (size - *used >= REQUEST_HEADER_SIZE && *used < MOST_BYTES) {
        const unsigned char *frame = data + *used;
        const unsigned char *key = frame + SHORT_HEADER_SIZE;
        unsigned char *reply = to + *written, *text = reply + SHORT_HEADER_SIZE;
        Py_ssize_t length = (Py_ssize_t)frame[1] - MASKED;
        uint32_t place;

        if (frame[0] != FINAL_TEXT || length < 0 || length > self->longest
            || length > size - *used - REQUEST_HEADER_SIZE) {
            break;
        }
        if (apply_mask(text, frame + REQUEST_HEADER_SIZE, (size_t)length, key) & 0x80) {
            int valid = is_utf8(text, (size_t)length);
            if (valid <= 0) {
                return valid;
            }
        }
        place = draw(self);
        memcpy(text + length, self->endings[place], ENDING_SLOT);
        reply[0] = FINAL_TEXT;
        reply[1] = (unsigned char)(length + self->sizes[place]);
        *count += 1;
        *used += REQUEST_HEADER_SIZE + length;
        *written += SHORT_HEADER_SIZE + length + self->sizes[place];
    }
    return 0;
}

/* The memory may be of any alignment. */
static void
add(Answerer *self, int place, Py_ssize_t amount)
{
    char *at = (char *)self->counts.buf + (size_t)place * sizeof(int64_t);
    int64_t count;

    memcpy(&count, at, sizeof(count));
    count += amount;
    memcpy(at, &count, sizeof(count));
}

static PyObject *
Answerer_answer(PyObject *object, PyObject *data)
{
    Answerer *self = (Answerer *)object;
    Py_buffer view;
    unsigned char replies[LONGEST_WRITTEN + ENDING_SLOT];
    Py_ssize_t count = 0, used = 0, written = 0;
    PyObject *result = NULL;

    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (write_replies(self, view.buf, view.len, replies, &count, &used, &written) == 0) {
        result = Py_BuildValue("Nnn", PyBytes_FromStringAndSize((char *)replies, written), count,
                               used);
    }
    if (result != NULL && self->counts.buf != NULL) {
        add(self, RECEIVED, used);
        add(self, REQUESTS, count);
        add(self, SENT, written);
    }
    PyBuffer_Release(&view);
    return result;
}

static PyMethodDef Answerer_methods[] = {
    {"answer", Answerer_answer, METH_O, "Return the replies, how many, and the bytes they answer."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Answerer_slots[] = {
    {Py_tp_doc, "Answers the short text messages of a client: see frames_plain.py."},
    {Py_tp_new, Answerer_new},
    {Py_tp_dealloc, Answerer_dealloc},
    {Py_tp_methods, Answerer_methods},
    {0, NULL},
};

static PyType_Spec Answerer_spec = {
    .name = "wire.frames_native.Answerer",
    .basicsize = sizeof(Answerer),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Answerer_slots,
};

/* pack: messages to frames from a client. */

/* How many bytes of length follow the first two. */
static int
extra_length_size(Py_ssize_t size)
{
    return size < SHORT_LIMIT ? 0 : size <= UINT16_MAX ? 2 : 8;
}

/* Return how many bytes the frames have, or -1 with an exception. */
static Py_ssize_t
size_of_frames(PyObject *payloads)
{
    Py_ssize_t count = PyList_Size(payloads), all = 0, i;

    for (i = 0; i < count; i++) {
        Py_ssize_t size = PyBytes_Size(PyList_GetItem(payloads, i));

        if (size < 0) {
            return -1;
        }
        all += REQUEST_HEADER_SIZE + extra_length_size(size) + size;
    }
    return all;
}

/* Write one frame, and return the place behind it. */
static unsigned char *
write_frame(unsigned char *to, unsigned char first_byte, const unsigned char *payload,
            Py_ssize_t size, const unsigned char *key)
{
    int extra = extra_length_size(size), i;

    to[0] = first_byte;
    to[1] = MASKED | (unsigned char)(extra == 0 ? size : extra == 2 ? LENGTH_IN_2 : LENGTH_IN_8);
    to += SHORT_HEADER_SIZE;
    for (i = extra - 1; i >= 0; i--) { /* in network byte order */
        *to++ = (unsigned char)((uint64_t)size >> 8 * i);
    }
    memcpy(to, key, KEY_SIZE);
    to += KEY_SIZE;
    apply_mask(to, payload, (size_t)size, key);
    return to + size;
}

static PyObject *
pack(PyObject *module, PyObject *args)
{
    unsigned char first_byte, *to;
    PyObject *payloads, *keys_object, *frames;
    char *keys, *payload;
    Py_ssize_t keys_size, all, size, i;

    (void)module;
    /* No format with a "#": built by Python 3.13 and newer, it would fail in 3.11 and 3.12. */
    if (!PyArg_ParseTuple(args, "bO!O", &first_byte, &PyList_Type, &payloads, &keys_object) ||
        PyBytes_AsStringAndSize(keys_object, &keys, &keys_size) < 0) {
        return NULL;
    }
    if (keys_size != KEY_SIZE * PyList_Size(payloads)) {
        PyErr_SetString(PyExc_ValueError, "there must be four bytes of key for each payload");
        return NULL;
    }
    all = size_of_frames(payloads);
    frames = all < 0 ? NULL : PyBytes_FromStringAndSize(NULL, all);
    if (frames == NULL) {
        return NULL;
    }
    to = (unsigned char *)PyBytes_AsString(frames);
    for (i = 0; i < PyList_Size(payloads); i++) {
        PyBytes_AsStringAndSize(PyList_GetItem(payloads, i), &payload, &size);
        to = write_frame(to, first_byte, (const unsigned char *)payload, size,
                         (const unsigned char *)keys + KEY_SIZE * i);
    }
    return frames;
}

/* split: frames from a server to messages. */

/* Append the payloads of the frames at the start of data. Return the bytes they take, or -1 with an
   exception. */
static Py_ssize_t
collect(unsigned char first_byte, const unsigned char *data, Py_ssize_t size, PyObject *payloads)
{
    Py_ssize_t used = 0;

    while (size - used >= SHORT_HEADER_SIZE) {
        const unsigned char *frame = data + used;
        Py_ssize_t length = frame[1];
        PyObject *payload;
        int result;

        if (frame[0] != first_byte || length >= SHORT_LIMIT
            || length > size - used - SHORT_HEADER_SIZE) {
            break;
        }
        payload = PyBytes_FromStringAndSize((const char *)frame + SHORT_HEADER_SIZE, length);
        result = payload == NULL ? -1 : PyList_Append(payloads, payload);
        Py_XDECREF(payload);
        if (result < 0) {
            return -1;
        }
        used += SHORT_HEADER_SIZE + length;
    }
    return used;
}

static PyObject *
split(PyObject *module, PyObject *args)
{
    unsigned char first_byte;
    Py_buffer view;
    PyObject *payloads;
    Py_ssize_t used;

    (void)module;
    if (!PyArg_ParseTuple(args, "by*", &first_byte, &view)) {
        return NULL;
    }
    payloads = PyList_New(0);
    used = payloads == NULL ? -1 : collect(first_byte, view.buf, view.len, payloads);
    PyBuffer_Release(&view);
    if (used < 0) {
        Py_XDECREF(payloads);
        return NULL;
    }
    return Py_BuildValue("Nn", payloads, used);
}

/* check: requests and replies to numbers. */

/* Return the number, from 1 to 100, if this is ": " and that number; else 0. */
static long
number_of(const char *ending, Py_ssize_t size)
{
    long number = 0;
    Py_ssize_t i;

    if (size < 3 || size > 5 || ending[0] != ':' || ending[1] != ' ' || ending[2] == '0') {
        return 0;
    }
    for (i = 2; i < size; i++) {
        if (ending[i] < '0' || ending[i] > '9') {
            return 0;
        }
        number = 10 * number + (ending[i] - '0');
    }
    return number <= 100 ? number : 0;
}

/* Return the number in the right reply to a request, 0 if it is not right, -1 on an exception. A
   subclass of bytes stands for a message of another kind. */
static long
check_one(PyObject *request, PyObject *reply)
{
    char *expected, *got;
    Py_ssize_t expected_size, size;

    if (PyBytes_Check(reply) && !PyBytes_CheckExact(reply)) {
        return 0;
    }
    if (PyBytes_AsStringAndSize(request, &expected, &expected_size) < 0
        || PyBytes_AsStringAndSize(reply, &got, &size) < 0) {
        return -1;
    }
    if (size < expected_size || memcmp(got, expected, (size_t)expected_size) != 0) {
        return 0;
    }
    return number_of(got + expected_size, size - expected_size);
}

static PyObject *
check(PyObject *module, PyObject *args)
{
    PyObject *requests, *replies, *numbers;
    Py_ssize_t i;

    (void)module;
    if (!PyArg_ParseTuple(args, "O!O!", &PyList_Type, &requests, &PyList_Type, &replies)) {
        return NULL;
    }
    numbers = PyList_New(0);
    if (numbers == NULL) {
        return NULL;
    }
    for (i = 0; i < PyList_Size(replies) && i < PyList_Size(requests); i++) {
        long number = check_one(PyList_GetItem(requests, i), PyList_GetItem(replies, i));
        PyObject *found;
        int result;

        if (number == 0) {
            break;
        }
        found = number < 0 ? NULL : PyLong_FromLong(number);
        result = found == NULL ? -1 : PyList_Append(numbers, found);
        Py_XDECREF(found);
        if (result < 0) {
            Py_DECREF(numbers);
            return NULL;
        }
    }
    return numbers;
}

/* The module. */

static PyMethodDef methods[] = {
    {"pack", pack, METH_VARARGS, "Return the frames that carry payloads from a client."},
    {"split", split, METH_VARARGS, "Return the payloads of a server's short frames, and their bytes."},
    {"check", check, METH_VARARGS, "Return the numbers in right replies, up to the first wrong one."},
    {NULL, NULL, 0, NULL},
};

static int
add_types(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Answerer_spec, NULL);
    int result = type == NULL ? -1 : PyModule_AddObjectRef(module, "Answerer", type);

    Py_XDECREF(type);
    return result;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_types},
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "wire.frames_native",
    .m_doc = "The frame functions in C: see frames_plain.py.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_frames_native(void)
{
    return PyModuleDef_Init(&definition);
}
