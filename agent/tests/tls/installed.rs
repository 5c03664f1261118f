//! What `cargo xtask setup --for test` has put into the cache; `cargo xtask test` names it in variables.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// A set of packages: the variable that names its folder or interpreter, its folder in the cache, and the file that says what is in it.
struct Set {
    variable: &'static str,
    folder: &'static str,
    file: &'static str,
    content: &'static str,
}

const SDKS_OF_PYTHON: Set = Set {
    variable: "TELLTALE_TEST_SDK_PYTHON",
    folder: "sdk-py",
    file: "requirements.txt",
    content: include_str!("../../../xtask/assets/sdk/requirements.txt"),
};
const CLIENTS: Set = Set {
    variable: "TELLTALE_TEST_TLS_PYTHON",
    folder: "tls-py",
    file: "requirements.txt",
    content: include_str!("../../../xtask/assets/tls/requirements.txt"),
};
const LIBRARIES: Set = Set {
    variable: "TELLTALE_TEST_TLS_LIBRARIES",
    folder: "tls-libraries",
    file: "requirements.txt",
    content: include_str!("../../../xtask/assets/tls/libraries.txt"),
};
const SDKS_OF_NODE: Set = Set {
    variable: "TELLTALE_TEST_SDK_NODE",
    folder: "sdk-node",
    file: "package-lock.json",
    content: include_str!("../../../xtask/assets/sdk/package-lock.json"),
};
const RELEASES: Set = Set {
    variable: "TELLTALE_TEST_NODE_RELEASES",
    folder: "node-releases",
    file: "package-lock.json",
    content: include_str!("../../../xtask/assets/node-releases/package-lock.json"),
};

const WGET: Set = Set {
    variable: "TELLTALE_TEST_WGET",
    folder: "tls-wget",
    file: "wget.txt",
    content: include_str!("../../../xtask/assets/tls/wget.txt"),
};

impl Set {
    /// What the variable names, else this in the folder of the cache.
    fn find(&self, inside: &str) -> PathBuf {
        let named = std::env::var_os(self.variable).map(PathBuf::from);
        named.unwrap_or_else(|| self.prepared().join(inside))
    }

    /// The folder of the cache that was made of this.
    fn prepared(&self) -> PathBuf {
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
        let folders = cache.and_then(|cache| fs::read_dir(cache.join("telltale").join(self.folder)).ok());
        let mut folders = folders.into_iter().flatten().flatten().map(|entry| entry.path());
        let is = |path: &PathBuf| {
            path.join("complete").exists()
                && fs::read_to_string(path.join(self.file)).is_ok_and(|is| is == self.content)
        };
        folders.find(is).unwrap_or_else(|| panic!("{} is not there: run `cargo xtask setup --for test`", self.folder))
    }
}

/// An interpreter that may import the SDKs, `requests` and `httpx`.
pub(crate) fn with_sdks() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| SDKS_OF_PYTHON.find("bin/python"))
}

/// An interpreter that may import `aiohttp` and `pycurl`.
pub(crate) fn with_clients() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| CLIENTS.find("bin/python"))
}

/// The `node_modules` of the SDKs.
pub(crate) fn node_modules() -> PathBuf {
    SDKS_OF_NODE.find("").join("node_modules")
}

/// The `libssl` that the wheels of this package bring along.
pub(crate) fn library(package: &str) -> PathBuf {
    let folder = LIBRARIES.find("").join(format!("{package}.libs"));
    let files = fs::read_dir(&folder).expect("the package is installed").flatten();
    let mut libraries = files.filter(|file| file.file_name().to_string_lossy().starts_with("libssl"));
    libraries.next().expect("the package has a libssl").path()
}

/// The program of another release of Node.
pub(crate) fn node(release: u32) -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    RELEASES.find("").join("node_modules").join(format!("node-{release}-{machine}/bin/node"))
}

/// A `wget` with OpenSSL.
pub(crate) fn wget() -> PathBuf {
    WGET.find("wget")
}
