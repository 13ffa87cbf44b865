/// The compiler announces calls that do not return; here nobody wants to know. A file of its own:
/// AddressSanitizer has a function of this name that does want to, and in a program that is built
/// with it the linker leaves this one in the library.
// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the compiler's name
extern "C" void __asan_handle_no_return() {}
