"""How a receipt's page looks: one style sheet inside the page, for light, dark and paper, in the colours of the window."""

STYLE = """
:root { color-scheme: light dark; --page: #f7f5f1; --panel: #ffffff; --border: #e4dfd6; --ink: #211c17; --muted: #635b50; --accent: #8a3d16; --good: #166534; --bar: #b5531d; }
@media (prefers-color-scheme: dark) { :root:not([data-scheme=light]) { --page: #161412; --panel: #1e1b18; --border: #36302a; --ink: #f2ede6; --muted: #b5ab9e; --accent: #eba873; --good: #86efac; --bar: #eb9a5c; } }
:root[data-scheme=dark] { color-scheme: dark; --page: #161412; --panel: #1e1b18; --border: #36302a; --ink: #f2ede6; --muted: #b5ab9e; --accent: #eba873; --good: #86efac; --bar: #eb9a5c; }
:root[data-scheme=light] { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 ui-sans-serif, system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 32px 20px; }
h1 { font-size: 24px; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 0 0 6px; }
.kind, footer { color: var(--muted); font-size: 13px; margin: 0; }
.verdict { font-size: 20px; font-weight: 650; line-height: 1.35; margin: 10px 0; padding-left: 12px; border-left: 4px solid var(--accent); }
.verdict.good { border-color: var(--good); color: var(--good); }
section { background: var(--panel); border: 1px solid var(--border); border-radius: 10px; padding: 16px 18px; margin: 16px 0; break-inside: avoid-page; }
.first { margin: 0 0 10px; }
.wide { overflow-x: auto; }
.wide:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: 8px 0; }
caption { text-align: left; color: var(--muted); font-size: 13px; padding-bottom: 4px; }
th, td { text-align: left; vertical-align: top; padding: 5px 10px 5px 0; border-top: 1px solid var(--border); overflow-wrap: break-word; font-weight: 400; }
thead :is(th, td) { border-top: 0; }
thead th { color: var(--muted); font-size: 13px; }
.bar { display: block; width: 120px; height: 10px; margin-top: 6px; border: 1px solid var(--border); border-radius: 3px; overflow: hidden; print-color-adjust: exact; }
.bar span { display: block; height: 100%; background: var(--bar); }
dl { margin: 0; }
dl div { display: grid; grid-template-columns: minmax(120px, 240px) 1fr; gap: 12px; padding: 4px 0; border-top: 1px solid var(--border); }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 20px; }
@media (max-width: 600px) { .bar { display: none; } dl div { grid-template-columns: 1fr; gap: 0; } table { min-width: 420px; } }
@media print { :root:root:root { color-scheme: light; --page: #fff; --panel: #fff; --border: #ccc; --ink: #000; --muted: #444; --accent: #8a3d16; --good: #166534; } main { max-width: none; padding: 0; } section { border-radius: 0; padding: 8px 0; border-width: 1px 0 0; } .wide { overflow: visible; } }
"""
