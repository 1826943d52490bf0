"""The screens: what people see. They ask the workspace and draw what it answers."""
