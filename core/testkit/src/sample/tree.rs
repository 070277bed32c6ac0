//! A directory tree from a seed.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, makedev, mknodat, utimensat};

use super::Random;

/// A real directory tree with every kind of file: about 60 files, and 7 MiB.
///
/// Owners are those of the process; everything else is decided by the seed, modes and times included.
#[derive(Debug, Clone, Copy)]
pub struct Tree {
    seed: u64,
    devices: bool,
}

impl Tree {
    /// The tree that `seed` decides.
    pub fn new(seed: u64) -> Self {
        Self { seed, devices: false }
    }

    /// The same tree with devices, which only root can make.
    #[must_use]
    pub fn with_devices(self) -> Self {
        Self { devices: true, ..self }
    }

    /// Writes it to `root`, which must not exist or be empty.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        let mut planter = Planter { root: root.to_owned(), random: Random::new(self.seed), planted: Vec::new() };
        fs::create_dir_all(root)?;
        planter.planted.push((root.to_owned(), None));
        planter.directories()?;
        planter.files()?;
        planter.odd_names()?;
        planter.links()?;
        planter.special("run/pipe", FileType::Fifo, 0)?;
        if self.devices {
            planter.special("run/null", FileType::CharacterDevice, makedev(1, 3))?;
            planter.special("run/disk", FileType::BlockDevice, makedev(7, 300))?;
        }
        planter.set_times()
    }
}

struct Planter {
    root: PathBuf,
    random: Random,
    /// The created entries, parents first, with a time unless it is random.
    planted: Vec<(PathBuf, Option<Timespec>)>,
}

impl Planter {
    fn directories(&mut self) -> io::Result<()> {
        let modes = [
            ("bin", 0o755),
            ("data", 0o2750),
            ("data/deep", 0o755),
            ("data/deep/er", 0o755),
            ("data/deep/er/still", 0o700),
            ("empty", 0o755),
            ("names", 0o755),
            ("run", 0o711),
            ("tmp", 0o1777),
        ];
        for (path, mode) in modes {
            let path = self.root.join(path);
            fs::create_dir(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
            self.planted.push((path, None));
        }
        Ok(())
    }

    fn files(&mut self) -> io::Result<()> {
        let directories = ["bin", "data", "data/deep", "data/deep/er", "data/deep/er/still", "tmp"];
        for number in 0..40 {
            let directory = directories[self.random.below(directories.len() as u64) as usize];
            let length = self.random.below(8000) as usize;
            let content = if number % 3 == 0 { self.random.bytes(length) } else { self.random.text(length) };
            let mode = [0o644, 0o600, 0o755, 0o444][number % 4];
            self.file(format!("{directory}/file-{number:02}"), &content, mode)?;
        }
        let (compressible, incompressible) = (self.random.text((5 << 20) + 12_345), self.random.bytes(1 << 20));
        self.file("data/compressible", &compressible, 0o644)?;
        self.file("data/incompressible", &incompressible, 0o644)?;
        self.file("data/empty", b"", 0o640)?;
        self.file("bin/su", b"#!/bin/sh\n", 0o4755)?;
        self.file("bin/mail", b"#!/bin/sh\n", 0o2755)?;
        // A second and a half before 1970, and fractions of a second.
        let times = [("data/before-1970", -2, 500_000_000), ("data/nanoseconds", 1_600_000_000, 123_456_789)];
        for (path, seconds, nanoseconds) in times {
            self.file(path, b"old", 0o644)?;
            if let Some((_, time)) = self.planted.last_mut() {
                *time = Some(Timespec { tv_sec: seconds, tv_nsec: nanoseconds });
            }
        }
        Ok(())
    }

    fn odd_names(&mut self) -> io::Result<()> {
        let names = [
            vec![b'n'; 100],
            vec![b'n'; 101],
            vec![b'n'; 155],
            vec![b'n'; 200],
            b"latin-\xe9\xff".to_vec(),
            "größe-文書".into(),
            b"a b\nc\\d*?".to_vec(),
        ];
        for name in names {
            let content = self.random.text(20);
            self.file(Path::new("names").join(OsStr::from_bytes(&name)), &content, 0o644)?;
        }
        Ok(())
    }

    fn links(&mut self) -> io::Result<()> {
        for (path, to) in [("bin/mail-again", "bin/mail"), ("tmp/empty-again", "data/empty"), ("a-mail", "bin/mail")] {
            fs::hard_link(self.root.join(to), self.root.join(path))?;
        }
        let long = "t".repeat(150);
        let links = [
            ("bin/relative", "../data/empty"),
            ("bin/absolute", "/bin/su"),
            ("bin/dangling", "nowhere"),
            ("tmp/long", &long),
        ];
        for (path, to) in links {
            let path = self.root.join(path);
            symlink(to, &path)?;
            self.planted.push((path, None));
        }
        Ok(())
    }

    fn special(&mut self, path: &str, kind: FileType, device: u64) -> io::Result<()> {
        let path = self.root.join(path);
        mknodat(CWD, &path, kind, Mode::from_raw_mode(0o620), device)?;
        fs::set_permissions(&path, Permissions::from_mode(0o620))?;
        self.planted.push((path, None));
        Ok(())
    }

    fn file(&mut self, path: impl AsRef<Path>, content: &[u8], mode: u32) -> io::Result<()> {
        let path = self.root.join(path);
        fs::write(&path, content)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        self.planted.push((path, None));
        Ok(())
    }

    /// Called last, because every new file changes the time of its directory.
    fn set_times(mut self) -> io::Result<()> {
        for (path, time) in &self.planted {
            let chance = Timespec { tv_sec: 1_500_000_000 + self.random.below(100_000_000).cast_signed(), tv_nsec: 0 };
            let time = time.unwrap_or(chance);
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }
}
