# ae_compile_options: the warnings and sanitizers of our own targets. An interface target, linked
# privately, so that nothing of it reaches those who use the library.
add_library(ae_compile_options INTERFACE)
target_compile_options(ae_compile_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<BOOL:${AE_WARNINGS_AS_ERRORS}>:-Werror>)

if(AE_SANITIZE)
  target_compile_options(ae_compile_options INTERFACE
    -fsanitize=${AE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  # Whoever links the library must link the sanitizer's runtime as well.
  add_link_options(-fsanitize=${AE_SANITIZE})
endif()
