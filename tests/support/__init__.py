"""What the tests stand on: hubs that misbehave, disks that differ, users without a name.

deny          the kernel refuses system calls to a program (any user)
fusefs        a folder in which any operation fails as told (FUSE)
filesystems   exFAT, FAT32, NTFS, btrfs, XFS, tmpfs, squashfs, read-only mounts, namespaces
powercut      a disk as a power cut leaves it
users         a user id without passwd entry and home
repos         repositories to download
hub, faults   a hub with fault switches
fixtures      the same as pytest fixtures
"""
