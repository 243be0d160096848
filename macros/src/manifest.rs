//! Under which name the calling crate knows ringway.
//!
//! A macro by example would write `$crate`; an attribute has nothing like it, and the name of its
//! crate as the caller sees it is the caller's choice: `tokio = { package = "ringway" }` makes it
//! `tokio`. So the caller's manifest is read, which cargo names in the environment of the compiler.
//! Where there is no manifest (another build system) or no entry (ringway comes by way of another
//! crate), the answer is ringway's own name, and `crate = "…"` is the way to say otherwise.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::toml::{Scalar, for_each_entry};

/// The package whose attributes these are, and its library's name.
const PACKAGE: &str = "ringway";

/// The name of ringway in the crate that is being compiled.
pub(crate) fn facade_name() -> String {
    let path = env::var_os("CARGO_MANIFEST_PATH")
        .map(PathBuf::from)
        .or_else(|| {
            let folder = env::var_os("CARGO_MANIFEST_DIR")?;
            Some(Path::new(&folder).join("Cargo.toml"))
        });
    path.and_then(|path| name_in_manifest(&path))
        .unwrap_or_else(|| PACKAGE.to_owned())
}

fn name_in_manifest(path: &Path) -> Option<String> {
    let manifest = Manifest::read(path)?;
    if manifest.is_facade {
        return Some(PACKAGE.to_owned());
    }
    manifest.name(|| manifest.workspace(path))
}

/// What a manifest says that matters here.
#[derive(Default)]
struct Manifest {
    /// This is ringway's own package: its tests and examples know it by its own name.
    is_facade: bool,
    /// `package.workspace`
    workspace_folder: Option<String>,
    is_workspace: bool,
    /// All that the package depends on. In which table does not matter: cargo allows a package only
    /// one name for each of its dependencies.
    dependencies: Vec<Dependency>,
    /// What the members of the workspace may inherit.
    shared: Vec<Dependency>,
}

/// An entry of a table of dependencies.
struct Dependency {
    name: String,
    package: Option<String>,
    inherits: bool,
}

impl Manifest {
    fn read(path: &Path) -> Option<Manifest> {
        Some(Manifest::parse(&fs::read_to_string(path).ok()?))
    }

    fn parse(document: &str) -> Manifest {
        let mut manifest = Manifest::default();
        for_each_entry(document, |key, value| manifest.add(key, value));
        manifest
    }

    fn add(&mut self, key: &[String], value: &Scalar) {
        let words: Vec<&str> = key.iter().map(String::as_str).collect();
        self.is_workspace |= words[0] == "workspace";
        match (&words[..], value) {
            (["package", "name"], Scalar::Text(name)) => self.is_facade = name == PACKAGE,
            (["package", "workspace"], Scalar::Text(folder)) => {
                self.workspace_folder = Some(folder.clone());
            }
            (["workspace", "dependencies", name, field @ ..], _) => {
                add_dependency(&mut self.shared, name, field, value);
            }
            (["target", _, table, name, field @ ..] | [table, name, field @ ..], _)
                if is_table_of_dependencies(table) =>
            {
                add_dependency(&mut self.dependencies, name, field, value);
            }
            _ => (),
        }
    }

    fn name(&self, workspace: impl Fn() -> Option<Manifest>) -> Option<String> {
        let is_facade = |dependency: &&Dependency| {
            if !dependency.inherits {
                return dependency.package() == PACKAGE;
            }
            let shared = workspace().map_or_else(Vec::new, |workspace| workspace.shared);
            let mut same = shared.iter().filter(|it| it.name == dependency.name);
            same.any(|it| it.package() == PACKAGE)
        };
        let dependency = self.dependencies.iter().find(is_facade)?;
        Some(dependency.name.replace('-', "_"))
    }

    /// The manifest from which this one, at `path`, inherits.
    fn workspace(&self, path: &Path) -> Option<Manifest> {
        let folder = path.parent()?;
        if self.is_workspace {
            return Manifest::read(path);
        }
        if let Some(workspace) = &self.workspace_folder {
            return Manifest::read(&folder.join(workspace).join("Cargo.toml"));
        }
        folder
            .ancestors()
            .skip(1)
            .filter_map(|it| Manifest::read(&it.join("Cargo.toml")))
            .find(|it| it.is_workspace)
    }
}

impl Dependency {
    fn package(&self) -> &str {
        self.package.as_deref().unwrap_or(&self.name)
    }
}

fn is_table_of_dependencies(name: &str) -> bool {
    let kind = name.replace('_', "-");
    ["dependencies", "dev-dependencies", "build-dependencies"].contains(&kind.as_str())
}

/// Notes one field of an entry, of which there may be several.
fn add_dependency(table: &mut Vec<Dependency>, name: &str, field: &[&str], value: &Scalar) {
    let known = table.iter().position(|it| it.name == name);
    let index = known.unwrap_or_else(|| {
        table.push(Dependency {
            name: name.to_owned(),
            package: None,
            inherits: false,
        });
        table.len() - 1
    });
    match (field, value) {
        (["package"], Scalar::Text(package)) => table[index].package = Some(package.clone()),
        (["workspace"], Scalar::Bool(inherits)) => table[index].inherits = *inherits,
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(document: &str) -> Option<String> {
        let manifest = Manifest::parse(document);
        assert!(!manifest.is_facade);
        manifest.name(|| None)
    }

    #[test]
    fn a_plain_dependency_has_its_own_name() {
        assert_eq!(name("[dependencies]\nringway = '0.1'").unwrap(), "ringway");
        assert_eq!(
            name("[dependencies]\nringway.path = '..'").unwrap(),
            "ringway"
        );
        assert_eq!(
            name("[dev-dependencies.ringway]\nfeatures = ['full']").unwrap(),
            "ringway"
        );
        assert_eq!(
            name("[target.'cfg(unix)'.dependencies]\nringway = '1'").unwrap(),
            "ringway"
        );
    }

    #[test]
    fn a_renamed_dependency_has_its_new_name() {
        let renamed = "tokio = { package = \"ringway\", version = \"0.1\" }";
        assert_eq!(
            name(&format!("[dependencies]\n{renamed}")).unwrap(),
            "tokio"
        );
        assert_eq!(
            name(&format!("[target.x.build-dependencies]\n{renamed}")).unwrap(),
            "tokio"
        );
        assert_eq!(
            name("[dependencies]\nmy-ring.package = 'ringway'").unwrap(),
            "my_ring"
        );
    }

    #[test]
    fn another_package_under_our_name_is_not_ours() {
        assert_eq!(
            name("[dependencies]\nringway = { package = 'other' }\ntokio = '1'"),
            None
        );
        assert_eq!(name(""), None);
    }

    fn in_files(files: &[(&str, &str)], manifest: &str) -> Option<String> {
        let folder = env::temp_dir().join(format!(
            "ringway-macros-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = name_in_manifest(&folder.join(manifest));
        fs::remove_dir_all(&folder).unwrap();
        found
    }

    #[test]
    fn an_inherited_dependency_has_the_name_that_the_workspace_gives_it() {
        let root = (
            "Cargo.toml",
            "[workspace]\nmembers = ['a']\n[workspace.dependencies]\ntokio = { package = 'ringway' }",
        );
        let member = "[package]\nname = 'a'\n[dependencies]\ntokio.workspace = true\n";
        let files = [root, ("a/b/Cargo.toml", member)];
        assert_eq!(in_files(&files, "a/b/Cargo.toml").unwrap(), "tokio");

        let elsewhere =
            "[package]\nname = 'a'\nworkspace = '../..'\n[dependencies.tokio]\nworkspace = true\n";
        let files = [root, ("a/b/Cargo.toml", elsewhere)];
        assert_eq!(in_files(&files, "a/b/Cargo.toml").unwrap(), "tokio");

        let both = format!("{}\n{member}", root.1);
        assert_eq!(
            in_files(&[("Cargo.toml", &both)], "Cargo.toml").unwrap(),
            "tokio"
        );
    }

    #[test]
    fn a_workspace_that_means_another_package_gives_no_name() {
        let root = ("Cargo.toml", "[workspace.dependencies]\ntokio = '1'\n");
        let member = (
            "a/Cargo.toml",
            "[dependencies]\ntokio = { workspace = true }\n",
        );
        assert_eq!(in_files(&[root, member], "a/Cargo.toml"), None);
    }

    #[test]
    fn ringways_own_tests_and_examples_know_it_by_its_own_name() {
        let document = "[package]\nname = 'ringway'\n[dependencies]\ntokio = '1'";
        assert_eq!(
            in_files(&[("Cargo.toml", document)], "Cargo.toml").unwrap(),
            "ringway"
        );
    }
}
