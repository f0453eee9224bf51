"""open_clip's own training program, as `open_clip_train.main`, made to read shards with the webdataset we have.

open_clip_train 3.3 does not expect the mark that webdataset 1.0 puts at the end of a shard, and stops with
`KeyError: 'fname'`; without the mark the two go together. Nothing else is changed.
"""

import functools
import sys

from open_clip_train import data
from open_clip_train.main import main

data.tar_file_expander = functools.partial(data.tar_file_expander, eof_value=None)

if __name__ == "__main__":
    main(sys.argv[1:])
