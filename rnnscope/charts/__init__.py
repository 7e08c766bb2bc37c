"""Pure drawing: numbers in, rows of text and style out. Knows neither textual, rich nor torch.

Every chart is a plain function that returns `list[Row]`, exactly as many rows and cells as it was asked for:

| function | file | draws |
|---|---|---|
| `line_chart` | lines.py | lines, bands, dots and marks on fixed, labelled axes |
| `heat_map`, `legend` | heatmap.py | a matrix of values in half blocks, and its colour bar |
| `coloured_text` | coloured_text.py | text whose every character is coloured by a value |
| `meter`, `bar_row`, `histogram`, `sparkline` | bars.py | bars |
"""
