"""`python -m compaware.components.teacher_check`."""

from compaware.components.core.stage.entrypoint import main
from compaware.components.teacher_check.config import TeacherCheckConfig

if __name__ == "__main__":
    main("compaware.components.teacher_check.check", TeacherCheckConfig, evaluates=True)
