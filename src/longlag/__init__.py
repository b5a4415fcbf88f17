"""longlag: LSTM networks for sequences whose causes and effects lie far apart."""

from longlag.cell import CellSpec
from longlag.data.sequences import SequenceBatch
from longlag.nn.lstm import LSTM
from longlag.nn.network import Network
from longlag.online.growth import Growth
from longlag.online.learner import OnlineLSTM

__all__ = ["LSTM", "CellSpec", "Growth", "Network", "OnlineLSTM", "SequenceBatch"]
