/* Other names for the functions of the unikernels' C library, so that a test on the host has both.
 * The library is compiled with this file included first. */
#ifndef JITSU_TEST_UNIKERNEL_LIBC_H
#define JITSU_TEST_UNIKERNEL_LIBC_H

#define malloc      image_malloc
#define calloc      image_calloc
#define realloc     image_realloc
#define free        image_free
#define atoi        image_atoi
#define memcpy      image_memcpy
#define memmove     image_memmove
#define memset      image_memset
#define memcmp      image_memcmp
#define memchr      image_memchr
#define strlen      image_strlen
#define strnlen     image_strnlen
#define strcmp      image_strcmp
#define strncmp     image_strncmp
#define strchr      image_strchr
#define strrchr     image_strrchr
#define strstr      image_strstr
#define strcasecmp  image_strcasecmp
#define strncasecmp image_strncasecmp
#define snprintf    image_snprintf
#define vsnprintf   image_vsnprintf
#define gmtime_r    image_gmtime_r

#endif
