# ae_warnings: the warnings of our own targets; ae_compile_options: those and the sanitizers. Both are
# linked privately, so that nothing of them reaches those who use the library.
add_library(ae_warnings INTERFACE)
target_compile_options(ae_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual
  # Template arguments are int and thread numbers unsigned, as everywhere in CUDA.
  $<$<NOT:$<BOOL:$<TARGET_PROPERTY:AE_DEVICE_CODE>>>:-Wsign-conversion>
  $<$<BOOL:${AE_WARNINGS_AS_ERRORS}>:-Werror>)

add_library(ae_compile_options INTERFACE)
# ccache sees what a precompiled header holds.
target_compile_options(ae_compile_options INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
target_link_libraries(ae_compile_options INTERFACE ae_warnings)
if(AE_SANITIZE)
  target_compile_options(ae_compile_options INTERFACE
    -fsanitize=${AE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  # Whoever links the library must link the sanitizer's runtime as well.
  add_link_options(-fsanitize=${AE_SANITIZE})
endif()
