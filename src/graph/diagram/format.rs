//! How a diagram is written.

use super::{Diagram, dot, mermaid, svg};

/// In which language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For Markdown: GitHub, GitLab and many editors draw it.
    Mermaid,
    /// For Graphviz: `dot -Tpng`.
    Dot,
    /// A picture, for a browser.
    Svg,
}

impl Diagram {
    /// Writes it.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Mermaid => mermaid::write(self),
            Format::Dot => dot::write(self),
            Format::Svg => svg::write(self),
        }
    }
}
