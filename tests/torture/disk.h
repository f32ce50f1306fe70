/*
 * disk.h - what a power cut leaves of $TMP/state and $TMP/out, by the letter of POSIX: a file's bytes as of its last fsync or fdatasync,
 * a directory's names as of its last fsync. A file that has a name and was never synced is empty.
 */
#ifndef TESTS_TORTURE_DISK_H
#define TESTS_TORTURE_DISK_H

void	disk_begin(const char *dir);	/* all that is there now is durable */
void	disk_end(void);
void	disk_made(const char *path);	/* a new file or directory */
void	disk_synced(int fd);
/* $dir/save/state and $dir/save/out are made anew, as they would be after the cut. */
void	disk_cut(void);

#endif
