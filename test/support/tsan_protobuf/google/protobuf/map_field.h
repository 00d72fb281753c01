// Under the thread sanitizer protobuf's maps have two members more, which Debian's library, built
// without it, does not have: here they are as in the library.
#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")
