"""Other people's models, measured without code of the user's: each way is a package here, and none knows another.

``adapted`` makes a model of an object that is no ``arbench.models.Source``; where a user names such an object,
``arbench.models.registry`` calls it, and imports nothing of this room before.
"""

from arbench.adapters.dispatch import adapted as adapted
from arbench.adapters.extras import needed as needed
