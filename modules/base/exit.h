/* exit.h - how the program ends (api 11.5): what service managers and scripts are told. Threads: pure. */
#ifndef Q2A_BASE_EXIT_H
#define Q2A_BASE_EXIT_H

enum exit_code {
  EXIT_FATAL = 1,   /* at run time */
  EXIT_USAGE = 2,
  EXIT_DATA = 65,   /* stored data is newer, damaged or sealed with another key; an import that is none */
  EXIT_TAKEN = 69,  /* address, store or folder is in use or not there */
  EXIT_CREATE = 73, /* a file or folder cannot be made */
  EXIT_CONFIG = 78
};

#endif
