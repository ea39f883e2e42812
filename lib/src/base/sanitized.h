/* sanitized.h - SANITIZED: 1 under AddressSanitizer, whose shadow memory and allocator ask for other limits, else 0 */
#ifndef P2H_BASE_SANITIZED_H
#define P2H_BASE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
