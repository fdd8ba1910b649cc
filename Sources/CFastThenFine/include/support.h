// What the Swift half of the C interface needs of C; no part of the interface.
#ifndef FTF_SUPPORT_H
#define FTF_SUPPORT_H

/// What `ftf_error` says in this thread from now on.
void support_set_error(const char *message);
/// The folder that the library lies in, or the program where it is linked in; "" where that is not known. As long as the program runs.
const char *support_library_folder(void);

#endif
