#ifndef KVROUTE_INDEXER_BASE_SCRATCH_H_
#define KVROUTE_INDEXER_BASE_SCRATCH_H_

#include <cstddef>
#include <vector>

namespace kvroute {

// What a buffer that is used again and again keeps between uses at most. A power of two, so that
// one comparison tells of many buffers.
inline constexpr size_t kKeptScratchBytes = 65'536;
static_assert((kKeptScratchBytes & (kKeptScratchBytes - 1)) == 0);

// Gives a buffer's memory back if its largest use so far needed much.
template <typename T>
void GiveBackIfLarge(std::vector<T>* buffer) {
  if (buffer->capacity() * sizeof(T) > kKeptScratchBytes) std::vector<T>().swap(*buffer);
}

// False: none of the buffers has to give anything back.
template <typename... T>
bool AnyMayBeLarge(const std::vector<T>&... buffers) {
  return ((buffers.capacity() * sizeof(T)) | ...) >= kKeptScratchBytes;
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_SCRATCH_H_
